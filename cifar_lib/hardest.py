"""Which training images an epoch takes: those that the network found hardest when it last saw them."""

import torch
import torch.nn.functional as F

from . import distributed
from .data import shuffled


class Losses:
    """The loss of each training image when it was last trained on; infinite before.

    A loss is the cross entropy without smoothed labels, whatever is trained with. It is that of the
    training step itself, so it costs no second pass, but it may be some epochs old. An image that is
    left out keeps its loss while those of the others fall, so it comes back. Source: Loshchilov and
    Hutter (2016), "Online batch selection for faster training of neural networks", who rank the
    images by their last known loss too, and draw them by rank.

    Args:
        count: how many training images there are.
    """

    def __init__(self, count):
        self.values = torch.full((count,), torch.inf)  # float32, on the CPU
        self._seen = []

    def number(self, share):
        """How many images this share of them is."""
        return round(share * len(self.values))

    def highest(self, share):
        """The images of the highest losses, as many as this share of all: int64 [M], rising."""
        return self.values.topk(self.number(share)).indices.sort().values

    def see(self, logits, labels):
        """Note the losses of a batch, or of this process's part of it, without waiting for them."""
        self._seen.append(F.cross_entropy(logits.detach().float(), labels, reduction="none"))

    def keep(self, among, batch_size, seed, epoch):
        """Put the noted losses with the images that `data.batches` took from `among` in this epoch."""
        if not self._seen:
            return
        order, _ = shuffled(among, seed, epoch)
        order = order[: len(self._seen) * batch_size].view(-1, batch_size)
        losses = self._seen[0].new_zeros(order.shape)
        losses[:, distributed.part(batch_size)] = torch.stack(self._seen)
        distributed.add_up([losses])
        self.values[order] = losses.cpu()
        self._seen.clear()
