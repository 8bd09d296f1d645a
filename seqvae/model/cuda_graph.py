"""CUDA graphs: many short kernels that a GPU starts at once."""

from collections.abc import Callable

import torch


def has_graphs(device: torch.device) -> bool:
    """Whether work on this device can be recorded."""
    return device.type == "cuda"


def record(work: Callable[[], None]) -> Callable[[], None]:
    """Record what `work` does, without doing it; calling the result does it.

    `work` must have run before, for libraries to set themselves up. It reads and writes tensors at
    the addresses at which they were when it was recorded, and waits for nothing.
    """
    graph = torch.cuda.CUDAGraph()
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # of torch
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        graph.capture_begin()
        work()
        graph.capture_end()
    torch.cuda.current_stream().wait_stream(stream)
    return graph.replay
