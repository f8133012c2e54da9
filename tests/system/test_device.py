"""Which device and which precision a training takes, and what importing `device` sets for its process."""

import subprocess
import sys

import pytest
import torch

from cifar_lib import CourseError
from cifar_lib.system import device, distributed

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def gpus(monkeypatch):
    """Set how many GPUs there are, and their compute capability."""

    def set_gpus(count, capability=(8, 0)):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Its Name")
        monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_90a", "compute_120"])

    return set_gpus


@pytest.fixture
def second_of_two(monkeypatch):
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    monkeypatch.setattr(distributed, "local_rank", lambda: 1)
    monkeypatch.setattr(distributed, "local_world_size", lambda: 2)


# Which device


@pytest.mark.parametrize(
    ("count", "name", "chosen"),
    [
        (0, None, "cpu"),
        (1, None, "cuda"),
        (1, "cpu", "cpu"),
        (1, "cuda", "cuda"),
        (1, "cuda:0", "cuda:0"),
        (2, "cuda:1", "cuda:1"),
    ],
)
def test_the_named_device_or_the_best(count, name, chosen, gpus):
    gpus(count)
    assert device.select_device(name) == torch.device(chosen)


@pytest.mark.parametrize(("name", "chosen"), [(None, "cuda:1"), ("cuda", "cuda:1"), ("cpu", "cpu")])
def test_each_process_takes_the_gpu_of_its_number(name, chosen, gpus, second_of_two):
    gpus(2)
    assert device.select_device(name) == torch.device(chosen)


def test_two_processes_of_a_machine_do_not_share_a_gpu(gpus, second_of_two, monkeypatch):
    """NCCL refuses that, too, as if a process were lost. One process on each of two machines may name it."""
    gpus(2)
    with pytest.raises(CourseError, match=r"^2 processes cannot share cuda:0: use --device cuda"):
        device.select_device("cuda:0")
    monkeypatch.setattr(distributed, "local_world_size", lambda: 1)
    assert device.select_device("cuda:0") == torch.device("cuda:0")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gpu", "'gpu' is not a device: use 'cpu', 'cuda' or 'cuda:1'"),
        ("cuda:x", "'cuda:x' is not a device"),
        ("", "'' is not a device"),
        ("mps", "The course runs on 'cpu' and 'cuda', not on 'mps'"),
        ("cuda", "CUDA was asked for, but PyTorch sees no GPU here: use --device cpu"),
    ],
)
def test_a_device_that_is_not_there(name, words, gpus):
    gpus(0)
    with pytest.raises(CourseError, match=words) as caught:
        device.select_device(name)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_a_gpu_beyond_the_last(gpus):
    gpus(1)
    with pytest.raises(CourseError, match=r"There is no cuda:1: this machine has 1 GPU\(s\)"):
        device.select_device("cuda:1")


def test_a_gpu_that_this_pytorch_has_no_code_for_is_none(gpus, monkeypatch):
    gpus(1, (6, 1))
    assert device.select_device() == CPU
    with pytest.raises(CourseError, match=r"^Its Name is too old for this PyTorch \(.*\): use --device cpu"):
        device.select_device("cuda")
    gpus(1, (7, 5))  # the oldest that it has code for
    assert device.select_device() == device.select_device("cuda") == GPU
    gpus(1, (6, 1))
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["gfx90a"])
    assert device.select_device() == device.select_device("cuda") == GPU


def test_each_process_asks_for_the_age_of_its_own_gpu(gpus, second_of_two, monkeypatch):
    gpus(2)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: [(6, 1), (8, 0)][device.index])
    assert device.select_device() == torch.device("cuda:1")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: [(8, 0), (6, 1)][device.index])
    assert device.select_device() == CPU
    gpus(1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: [(8, 0)][device.index])
    with pytest.raises(CourseError, match=r"There is no cuda:1: this machine has 1 GPU\(s\)"):
        device.select_device()


def test_other_errors_are_not_taken_for_too_little_memory():
    with pytest.raises(RuntimeError, match=r"^shapes differ$"), device.gpu_memory_in_words():
        raise RuntimeError("shapes differ")


# Which precision


@pytest.mark.parametrize(
    ("capability", "dtype"),
    [((7, 5), torch.float16), ((8, 0), torch.bfloat16), ((8, 9), torch.bfloat16), ((10, 0), torch.bfloat16)],
)
def test_a_gpu_trains_in_bfloat16_where_its_hardware_multiplies_it(capability, dtype, gpus):
    gpus(1, capability)
    assert device.training_dtype(GPU) == dtype


@pytest.mark.parametrize(("native", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_so_does_a_cpu(native, dtype, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    assert device.training_dtype(CPU) == dtype


def test_products_are_rounded_within_autocast_alone():
    x = torch.ones(2, 2)
    for dtype in (torch.bfloat16, torch.float32):
        with device.autocast(CPU, dtype):
            assert (x @ x).dtype == device.product_dtype(x) == dtype
    assert (x @ x).dtype == device.product_dtype(x) == torch.float32
    assert device.product_dtype(x.double()) == torch.float64


def test_without_autocast_for_its_device_a_product_has_the_dtype_of_its_factors():
    with device.autocast(CPU, torch.bfloat16):
        assert device.product_dtype(torch.ones(2, device="meta")) == torch.float32


def test_float32_is_float32_on_a_gpu_too():
    """And PyTorch lets its own parts and other programs read it: of some settings it says they contradict."""
    assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.conv.fp32_precision != "tf32"
    assert torch.backends.cudnn.deterministic
    with torch.backends.cudnn.flags(enabled=False):
        pass


TINY_NUMBERS = """
import torch
from cifar_lib.system import device
torch.set_num_threads(2)
numbers = torch.full((1_000_000,), 1e-20)
print(int((numbers + 1).sum()), int((numbers * 1e-20).count_nonzero()))
"""


def test_every_thread_takes_tiny_numbers_for_zero():
    done = subprocess.run([sys.executable, "-c", TINY_NUMBERS], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1000000", "0"]


# Its description


@pytest.mark.parametrize(("threads", "counted"), [(1, "1 thread"), (3, "3 threads")])
def test_a_cpu_is_described_with_its_threads(threads, counted, monkeypatch):
    words = f"CPU (its name), {counted}, float32"
    monkeypatch.setattr(device, "cpu_name", lambda: "its name")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert device.describe(CPU) == words
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    assert device.describe(CPU) == f"2 × {words}"


def test_a_gpu_is_described_by_its_name(gpus, monkeypatch):
    gpus(1, (7, 5))
    assert device.describe(GPU) == "Its Name, float16"
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    assert device.describe(GPU) == "2 × Its Name, float16"


def test_the_processor_is_called_as_linux_calls_it(monkeypatch, tmp_path):
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nmodel name\t: Some CPU @ 2:1\nprocessor\t: 1\nmodel name\t: Other\n")
    monkeypatch.setattr(device, "CPU_INFO", info)
    assert device.cpu_name() == "Some CPU @ 2:1"
    info.write_text("processor\t: 0\n")
    assert device.cpu_name() == "unknown model"
    info.unlink()
    assert device.cpu_name() == "unknown model"


# Memory

RESIDENT = """
import torch
from cifar_lib.system import device
def resident():
    return int(open('/proc/self/statm').read().split()[1]) * 4096 / 2**20
def fill_and_free():
    many = [torch.ones(2**20) for _ in range(50)]  # 4 MB each
before = resident()
try:
    with device.memory_given_back():
        device.keep_freed_memory()
        fill_and_free()
        print(resident() - before)
        raise KeyError
except KeyError:
    print(resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone is told to keep memory")
def test_memory_is_kept_for_a_while_and_then_given_back_after_an_error_too():
    done = subprocess.run([sys.executable, "-c", RESIDENT], capture_output=True, text=True, check=True)
    kept, left = (float(line) for line in done.stdout.split())
    assert kept > 150 and left < 50
