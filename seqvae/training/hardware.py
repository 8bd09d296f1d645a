"""The machine that a model runs on: its device, its half precision, its memory, its Ctrl-C."""

import contextlib
import ctypes
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch

from seqvae.errors import InputError


def use_gpu(accelerator: str) -> bool:
    """Whether to compute on a GPU: auto takes one where there is one.

    Raises:
        InputError: a GPU is asked for and there is none.
    """
    available = torch.cuda.is_available()
    if accelerator == "gpu" and not available:
        raise InputError("accelerator is gpu, but no GPU is available; use auto or cpu")
    return available and accelerator != "cpu"


def use_bf16(precision: str, *, on_gpu: bool) -> bool:
    """Whether to autocast to bfloat16: auto does where the hardware multiplies it natively.

    Elsewhere it is emulated, and several times slower than float32.
    """
    if precision == "auto":
        return torch.cuda.is_bf16_supported() if on_gpu else torch.cpu._is_avx512_bf16_supported()
    return precision == "bf16"


def keep_freed_memory() -> None:
    """Tell glibc to reuse large buffers instead of giving them back to the system.

    Each step frees and asks for the same buffers, and mapping them anew each time takes a good part
    of an LSTM step on a CPU. Other C libraries are left alone.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        m_trim_threshold, m_mmap_max = -1, -4  # names and values of malloc.h
        mallopt(m_trim_threshold, 2**31 - 1)
        mallopt(m_mmap_max, 0)


@contextlib.contextmanager
def first_interrupt_to(stop: Callable[[], None]) -> Iterator[None]:
    """Let the first Ctrl-C call `stop` and nothing else; a second one breaks in."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(signum: int, frame: Any) -> None:
        stop()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    previous = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
