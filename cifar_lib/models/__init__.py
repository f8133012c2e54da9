"""Every network of the book by name, how large it is, and `kernels`, which make training quick on a CPU."""

from . import kernels
from .alexnet import AlexNet
from .counting import count_flops, count_parameters
from .fast import FastCNN
from .googlenet import FactorisedInception, GoogLeNet, Inception
from .lenet import BeginnerNet, LeNet5
from .paper import MLP, DeepCNN, Pointwise, SkipCNN
from .registry import MODELS, build, check_shapes, he_init
from .resnet import ResidualBlock, ResNet
from .sync_batch_norm import replicate
from .vgg import VGG

__all__ = [
    "MLP",
    "MODELS",
    "VGG",
    "AlexNet",
    "BeginnerNet",
    "DeepCNN",
    "FactorisedInception",
    "FastCNN",
    "GoogLeNet",
    "Inception",
    "LeNet5",
    "Pointwise",
    "ResNet",
    "ResidualBlock",
    "SkipCNN",
    "build",
    "check_shapes",
    "count_flops",
    "count_parameters",
    "he_init",
    "kernels",
    "replicate",
]
