"""The choice among several ways to convolve."""

import json

import pytest
import torch

from cifar_lib import CourseError
from cifar_lib.models import fast, kernels
from cifar_lib.system import device

SMALL = torch.empty(40, 4, 3, 3), torch.empty(4, 4, 3, 3)
FAST_MOSAIC = {"usual": 5.0, "mosaic": 3.0, "mosaic gradient": 4.0, "winograd": 9.0}


@pytest.fixture(autouse=True)
def nothing_measured(monkeypatch):
    monkeypatch.setattr(kernels.autotune, "_times", {})


class Clock:
    """In place of the measurement and of the ways themselves: each way takes the time that a test gives."""

    def __init__(self, monkeypatch):
        self.times, self.measured, self.taken = dict(FAST_MOSAIC), [], []
        monkeypatch.setattr(kernels.autotune, "_milliseconds", self.measure)
        for name in kernels.WAYS:
            monkeypatch.setitem(kernels.WAYS, name, lambda x, weight, name=name: self.taken.append(name))

    def measure(self, way, x, weight):
        way(x, weight)
        self.measured.append(self.taken.pop())
        return self.times[self.measured[-1]]

    def way(self, x, weight):
        """The way that `convolve` takes."""
        kernels.convolve(x, weight)
        return self.taken.pop()


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def test_the_quickest_way_is_measured_once_and_kept_for_the_next_process(clock, cache):
    assert [clock.way(*SMALL), clock.way(*SMALL)] == ["mosaic", "mosaic"]
    kernels.autotune._times.clear()  # as a new process finds it
    assert clock.way(*SMALL) == "mosaic"
    assert clock.measured == list(FAST_MOSAIC)
    (kept,) = cache.glob("kernels-*.json")
    assert list(json.loads(kept.read_text()).values()) == [FAST_MOSAIC]


@pytest.mark.parametrize(("milliseconds", "way"), [(4.74, "winograd"), (4.76, "usual")])
def test_another_way_is_taken_if_it_saves_five_per_cent(milliseconds, way, clock):
    clock.times = dict.fromkeys(FAST_MOSAIC, 5.0) | {"winograd": milliseconds}
    assert clock.way(*SMALL) == way


@pytest.mark.parametrize(
    "content", ["{half a fi", "[]", '{"%": 3}', '{"%": {"mosaic": 1}}', '{"%": {"usual": "x"}}']
)
def test_damaged_measurements_are_made_again(content, clock, cache):
    clock.way(*SMALL)
    (kept,) = cache.glob("kernels-*.json")
    (name,) = json.loads(kept.read_text())
    kept.write_text(content.replace("%", name))
    kernels.autotune._times.clear()
    assert clock.way(*SMALL) == "mosaic" and len(clock.measured) == 8
    assert json.loads(kept.read_text())[name] == FAST_MOSAIC


def test_measurements_of_a_way_that_is_no_more_are_left_out(clock, cache):
    clock.way(*SMALL)
    (kept,) = cache.glob("kernels-*.json")
    kept.write_text(kept.read_text().replace('"mosaic"', '"former"'))
    kernels.autotune._times.clear()
    assert clock.way(*SMALL) == "mosaic gradient" and len(clock.measured) == 4


def test_other_images_filters_numbers_and_threads_are_measured_for_themselves(clock, monkeypatch):
    x, weight = SMALL
    clock.way(x, weight)
    clock.way(x[:20], weight)
    clock.way(x, weight[:2])
    clock.way(x.bfloat16(), weight.bfloat16())
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    clock.way(x, weight)
    assert clock.measured.count("usual") == 5


def test_what_another_process_measured_meanwhile_is_kept(clock, cache):
    clock.way(*SMALL)
    (kept,) = cache.glob("kernels-*.json")
    kept.write_text(json.dumps({"measured meanwhile": {"usual": 1.0}}))
    clock.way(SMALL[0][:20], SMALL[1])
    assert len(json.loads(kept.read_text())) == 3


@pytest.mark.parametrize("changed", [(torch, "__version__", "9.9"), (device, "cpu_name", lambda: "another")])
def test_another_processor_or_pytorch_measures_for_itself(changed, clock, monkeypatch):
    clock.way(*SMALL)
    kernels.autotune._times.clear()
    monkeypatch.setattr(*changed)
    clock.way(*SMALL)
    assert clock.measured.count("usual") == 2


def test_a_cache_that_cannot_be_written_costs_another_measurement_only(clock, cache, monkeypatch):
    (cache / "file").write_text("")
    monkeypatch.setenv("CIFAR_CACHE", str(cache / "file" / "deeper"))
    assert clock.way(*SMALL) == "mosaic"


def test_large_images_have_one_way_and_are_not_measured(clock):
    assert clock.way(torch.empty(2, 3, 31, 31), torch.empty(4, 3, 3, 3)) == "usual"
    assert clock.measured == []


def test_while_it_is_compiled_nothing_is_measured(clock, monkeypatch):
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert clock.way(*SMALL) == "usual" and clock.measured == []


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_without_gradients_it_is_pytorchs_own(context):
    x, weight = torch.randn(40, 4, 3, 3), torch.randn(4, 4, 3, 3)
    with context():
        found = kernels.convolve(x, weight)
        assert torch.equal(found, torch.nn.functional.conv2d(x, weight, padding=1))
    assert kernels.autotune._times == {}


@pytest.mark.parametrize(
    ("images", "side", "dtype", "ways"),
    [
        (2, 16, torch.float32, {"usual", "winograd"}),
        (2, 17, torch.float32, {"usual"}),
        (2, 9, torch.bfloat16, {"usual"}),
        (1, 3, torch.float32, {"usual", "winograd"}),
        (2, 7, torch.bfloat16, {"usual", "mosaic", "mosaic gradient"}),
    ],
)
def test_which_ways_are_measured(images, side, dtype, ways, clock):
    """Winograd's for small images in float32, the mosaics where several images fill a picture."""
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        clock.way(torch.empty(images, 3, side, side), torch.empty(4, 3, 3, 3))
    assert set(clock.measured) | {"usual"} == ways


def test_only_fixes_the_way_within_its_context_and_measures_nothing(clock):
    with kernels.only("winograd"):
        with pytest.raises(ZeroDivisionError), kernels.only("usual"):
            assert clock.way(*SMALL) == "usual"
            raise ZeroDivisionError
        assert clock.way(*SMALL) == "winograd"
    assert clock.measured == []
    assert clock.way(*SMALL) == "mosaic"


def test_only_refuses_a_way_that_is_none():
    with pytest.raises(CourseError, match="no way 'wino' to convolve"), kernels.only("wino"):
        pass


def test_evaluation_is_pytorchs_own(clock):
    convolution, x = fast.Convolution(2, 2), torch.randn(1, 2, 4, 4)
    convolution(x)
    assert clock.taken
    clock.taken.clear()
    with torch.no_grad():
        convolution(x)
    convolution.eval()(x)
    assert clock.taken == []


def test_measuring_leaves_the_network_and_the_random_numbers_as_they_were():
    convolution = fast.Convolution(4, 4)
    before = convolution.weight.detach().clone()
    state = torch.get_rng_state()
    convolution(torch.randn(40, 4, 3, 3, generator=torch.Generator().manual_seed(0))).sum().backward()
    assert kernels.autotune._times and torch.equal(torch.get_rng_state(), state)
    assert torch.equal(convolution.weight, before) and convolution.weight.grad is not None
