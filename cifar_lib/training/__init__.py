"""The training loop, what prepares it, and the checkpoints from which it resumes."""

from .callbacks import Callback, EpochBar, EpochLines, EpochObjects, TensorBoard
from .checkpoint import RunKey, load_checkpoint, save_checkpoint
from .loop import train, train_epoch, validate
from .muon import Muon, orthogonalize
from .optimizers import make_optimizer, training_loss
from .setup import Setup, augmentation_at, set_up
from .trained import Trained
from .version import CODE_VERSION

__all__ = [
    "CODE_VERSION",
    "Callback",
    "EpochBar",
    "EpochLines",
    "EpochObjects",
    "Muon",
    "RunKey",
    "Setup",
    "TensorBoard",
    "Trained",
    "augmentation_at",
    "load_checkpoint",
    "make_optimizer",
    "orthogonalize",
    "save_checkpoint",
    "set_up",
    "train",
    "train_epoch",
    "training_loss",
    "validate",
]
