"""What a training computes on: its device, its precision, its memory."""

import ctypes
import sys

import torch

from seqvae.errors import InputError


def use_gpu(accelerator: str) -> bool:
    """Whether to compute on a GPU; auto takes one if there is one.

    Raises:
        InputError: a GPU is asked for and there is none.
    """
    available = torch.cuda.is_available()
    if accelerator == "gpu" and not available:
        raise InputError("accelerator is gpu, but no GPU is available; use auto or cpu")
    return available and accelerator != "cpu"


def use_bf16(precision: str, *, on_gpu: bool) -> bool:
    """Whether to autocast to bfloat16; auto does where the hardware multiplies it natively.

    Elsewhere it is emulated, and several times slower than float32.
    """
    if precision == "auto":
        return torch.cuda.is_bf16_supported() if on_gpu else torch.cpu._is_avx512_bf16_supported()
    return precision == "bf16"


def keep_freed_memory() -> None:
    """Tell glibc to reuse large buffers instead of giving them back to the system.

    Every step frees and requests the same buffers, and mapping them anew takes a good part of the
    time of an LSTM step on a CPU. Other C libraries are left alone.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        m_trim_threshold, m_mmap_max = -1, -4  # names and values of malloc.h
        mallopt(m_trim_threshold, 2**31 - 1)
        mallopt(m_mmap_max, 0)
