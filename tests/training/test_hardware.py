"""Which device and which precision a setting means."""

import ctypes
import sys
from types import SimpleNamespace

import pytest
import torch

from seqvae.errors import InputError
from seqvae.training.hardware import keep_freed_memory, use_bf16, use_gpu


@pytest.mark.parametrize(
    ("accelerator", "available", "expected"),
    [
        ("auto", True, True), ("auto", False, False), ("cpu", True, False), ("cpu", False, False),
        ("gpu", True, True),
    ],
)  # fmt: skip
def test_auto_takes_a_gpu_where_there_is_one(
    accelerator: str, available: bool, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    assert use_gpu(accelerator) is expected


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="no GPU is available; use auto or cpu"):
        use_gpu("gpu")


@pytest.mark.parametrize("on_gpu", [True, False])
@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("precision", ["bf16", "fp32", "auto"])
def test_auto_takes_bf16_where_the_device_in_use_has_it(
    precision: str, native: bool, on_gpu: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The device that is not in use says the opposite.
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: native is on_gpu)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native is not on_gpu)
    expected = {"bf16": True, "fp32": False, "auto": native}[precision]
    assert use_bf16(precision, on_gpu=on_gpu) is expected


def test_glibc_keeps_freed_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, int]] = []
    library = SimpleNamespace(mallopt=lambda name, value: calls.append((name, value)))
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    monkeypatch.setattr(sys, "platform", "linux")
    keep_freed_memory()
    assert calls == [(-1, 2**31 - 1), (-4, 0)]  # M_TRIM_THRESHOLD and M_MMAP_MAX of malloc.h


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_other_c_libraries_are_left_alone(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())
    monkeypatch.setattr(sys, "platform", platform)
    keep_freed_memory()
