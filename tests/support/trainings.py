"""What tests of training share."""

import pytest
import torch

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]


class Killed(Exception):
    pass


def without_time(history):
    times = ("seconds", "training_seconds")
    return [{name: value for name, value in entry.items() if name not in times} for entry in history]


def assert_same(one, other):
    assert without_time(one.history) == without_time(other.history)
    weights = other.model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in one.model.state_dict().items())
