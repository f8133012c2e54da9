"""A network drawn from its code."""

import copy

import matplotlib.pyplot as plt
import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from .charts import INK, WIDTH


def network(model, title, shape=(3, 32, 32), *, whole=(), rows=None):
    """A network drawn from its code: traced, one box a group of layers, beside each the shape it puts out.

    Args:
        model: a network that `torch.fx` can trace; paths that meet again stand side by side.
        shape: channels, height, width of one image.
        whole: a class or a tuple of classes of modules that are one box each.
        rows: boxes in a column; a longer network, of one path, goes on in the next column.
    """
    boxes = _boxes(model, shape, whole)
    _place(boxes, rows)
    columns = max(2, 1 + max(box["column"] for box in boxes))
    length = 1 + max(box["row"] for box in boxes)
    step, height = WIDTH / columns, 0.62 if columns == 2 else 0.8
    axis = plt.subplots(figsize=(WIDTH, height * length + 0.5))[1]
    for box in boxes:
        x, half = step * (box["column"] + (box["span"] - 1) / 2), step * (box["span"] / 2 - 1 / 18)
        box |= {"x": x, "y": -box["row"], "left": x - half, "right": x + half}
    size = min(9, *(110 * (box["right"] - box["left"]) / len(box["name"]) for box in boxes))
    for box in boxes:
        x, y, left = box["x"], box["y"], box["left"]
        narrow = columns > 2 and box["span"] == 1
        side = columns == 2 and box["column"] and not rows
        color = "#F6D9C4" if len(box["inputs"]) > 1 else "#D3EBE2" if side else "#D6E6F2"
        axis.add_patch(plt.Rectangle((left, y - 0.29), 2 * (x - left), 0.58, fc=color, ec=INK, lw=0.8))
        style = {"ha": "center", "va": "center"}
        axis.text(x, y + (0.17 if narrow else 0.11), box["name"], fontsize=size, weight="bold", **style)
        text = box["what"] + ("\n" if narrow else " ") + f"→ {box['shape']}"
        axis.text(x, y - (0.09 if narrow else 0.13), text, fontsize=8, **style)
        for before in box["inputs"]:
            *bends, below, above = _way(before, box, boxes)
            axis.plot(*zip(*bends, below, strict=True), color=INK, lw=1)
            axis.annotate("", above, below, arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 1})
    axis.set(xlim=(-step / 2, WIDTH - step / 2), ylim=(-length + 0.5, 0.5), title=title)
    axis.axis("off")
    return axis


def _way(before, box, boxes):
    """The points of the arrow from one box to a later one."""
    column, row = box["column"], box["row"]
    one, other = sorted((before, box), key=lambda box: box["span"])
    inside = one["column"] in range(other["column"], other["column"] + other["span"])
    passed = [b for b in boxes if b["column"] == column and before["row"] < b["row"] < row]
    if inside and not (passed and one["span"] == other["span"]):
        return (one["x"], before["y"] - 0.29), (one["x"], box["y"] + 0.29)
    if before["row"] > row or inside:  # round the boxes between: on to the next column, or past them
        bend = before["right"] + 0.2
        end = (box["right"] if inside else box["left"], box["y"])
        return (before["right"], before["y"]), (bend, before["y"]), (bend, box["y"]), end
    if before["column"] < column:
        return (before["right"], before["y"]), (box["x"], box["y"] + 0.29)
    return (before["x"], before["y"] - 0.29), (box["right"], box["y"])


class _Tracer(fx.Tracer):
    """Traces into every module but convolutions of any kind, and those of the classes `whole`."""

    def __init__(self, whole):
        super().__init__()
        self.whole = whole

    def is_leaf_module(self, module, name):
        return isinstance(module, (nn.Conv2d, self.whole)) or super().is_leaf_module(module, name)


def _boxes(model, shape, whole):
    """The traced graph as boxes: a layer takes along the norm, activation or reshaping behind it."""
    model = copy.deepcopy(model).eval()  # tracing shapes must not move the running averages
    traced = fx.GraphModule(model, _Tracer(whole).trace(model))
    ShapeProp(traced).propagate(torch.zeros(2, *shape))
    modules, boxes, of = dict(traced.named_modules()), [], {}
    for node in traced.graph.nodes:
        if node.op == "output":
            continue
        layer = modules.get(str(node.target)) if node.op == "call_module" else None
        before = [of[n] for n in node.all_input_nodes]
        size = "×".join(str(n) for n in node.meta["tensor_meta"].shape[1:])
        joins = len(before) == 1 and len(node.all_input_nodes[0].users) == 1 and boxes[-1] is before[0]
        if joins and isinstance(layer, _JOINING):
            of[node] = before[0]
            before[0]["shape"] = size
            if not isinstance(layer, nn.Identity):
                before[0]["name"] += f", {_name(node, layer)[1]}"
            continue
        name = ": ".join(filter(None, _name(node, layer)))
        of[node] = {"name": name, "what": _what(node, layer), "shape": size, "inputs": before}
        boxes.append(of[node])
    return boxes


_JOINING = (nn.BatchNorm2d, nn.ReLU, nn.Tanh, nn.Sigmoid, nn.Dropout, nn.Flatten, nn.Identity)
_SHORT = {
    nn.Conv2d: "conv",
    nn.BatchNorm2d: "norm",
    nn.MaxPool2d: "pool",
    nn.AvgPool2d: "pool",
    nn.Linear: "linear",
    nn.Tanh: "tanh",
    nn.ReLU: "ReLU",
    nn.Dropout: "dropout",
    nn.Flatten: "flatten",
}


def _name(node, layer):
    """What the code calls a layer; in a list of layers, the list's name and the layer's kind."""
    parts = str(node.target).split(".")
    kind = next((short for kind, short in _SHORT.items() if isinstance(layer, kind)), None)
    if kind and parts[-1].isdigit():
        return "_".join(part for part in parts if not part.isdigit()), kind
    return "", node.name


def _place(boxes, rows=None):
    """Rows by the longest way from the input; paths that meet in one box stand in neighbouring columns."""
    for i, box in enumerate(boxes):
        followers = [later for later in boxes if any(box is b for b in later["inputs"])]
        box["span"] = max(len(box["inputs"]), len(followers))
        box["span"] = box["span"] if box["span"] > 2 else 1
        box["row"] = 1 + max((before["row"] for before in box["inputs"]), default=-1)
        box["column"] = len(boxes)
        if rows:
            box |= {"column": i // rows, "row": i % rows}
    if not rows:
        boxes[-1]["column"] = 0
        for box in reversed(boxes):
            for i, before in enumerate(box["inputs"]):
                before["column"] = min(before["column"], box["column"] + i)


def _what(node, layer):
    if isinstance(layer, nn.Conv2d):
        kernel, stride = "×".join(str(n) for n in layer.kernel_size), layer.stride[0]
        return f"{kernel} convolution" + (f", stride {stride}" if stride > 1 else "")
    if isinstance(layer, nn.Linear):
        return "linear layer"
    if isinstance(layer, nn.MaxPool2d | nn.AvgPool2d):
        kind, size = "max" if isinstance(layer, nn.MaxPool2d) else "average", layer.kernel_size
        return f"{size}×{size} {kind} pool" + (f", stride {layer.stride}" if layer.stride != size else "")
    if isinstance(layer, nn.AdaptiveAvgPool2d):
        return "average over positions"
    if node.op == "placeholder":
        return "image" if node.meta["tensor_meta"].shape[1] <= 3 else "input"
    if node.op == "call_function":
        return "both paths" if len(node.all_input_nodes) == 2 else "all paths"
    return type(layer).__name__
