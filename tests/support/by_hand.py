"""Weights of a layer, counted by hand."""


def conv(inputs, outputs, height=3, width=None, bias=True):
    """A convolution whose filters are `height` × `width`, by default square."""
    return outputs * (inputs * height * (width or height) + bias)


def linear(inputs, outputs):
    return outputs * (inputs + 1)


def kinds(layers):
    """The names of the layers' classes, in order."""
    return [type(layer).__name__ for layer in layers]
