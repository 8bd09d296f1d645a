"""How many threads of a CPU a computation gets."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

MANY_ROWS = 64  # for which more than one thread is worth while


@contextmanager
def threads_for(num_rows: int) -> Iterator[None]:
    """One thread for few rows: on a busy CPU, two that wait for each other are far slower.

    A user who has the CPU alone says so with OMP_WAIT_POLICY=ACTIVE, and few rows get all threads,
    too. Training is left alone: its steps are long enough.
    """
    num_threads = torch.get_num_threads()
    alone = os.environ.get("OMP_WAIT_POLICY", "").upper() == "ACTIVE"
    if alone or num_rows >= MANY_ROWS or num_threads == 1 or torch.is_grad_enabled():
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)
