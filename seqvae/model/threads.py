"""How many threads of a CPU a computation gets."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

MANY_ROWS = 64  # for which more than one thread is worth while


def limit_threads(num_rows: int) -> None:
    """One thread for few rows: on a busy CPU, two that wait for each other are far slower.

    A user who has the CPU alone says so with OMP_WAIT_POLICY=ACTIVE, and few rows get all threads,
    too. Training is left alone: its steps are long enough.
    """
    if num_rows >= MANY_ROWS or torch.is_grad_enabled() or torch.get_num_threads() == 1:
        return
    if os.environ.get("OMP_WAIT_POLICY", "").upper() != "ACTIVE":
        torch.set_num_threads(1)


@contextmanager
def threads_for(num_rows: int) -> Iterator[None]:
    """Within the block, the threads that so many rows get."""
    num_threads = torch.get_num_threads()
    limit_threads(num_rows)
    try:
        yield
    finally:
        if torch.get_num_threads() != num_threads:
            torch.set_num_threads(num_threads)


def in_parallel(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """What `work` makes of each item, in their order; several are made at once, a thread each.

    There are as many threads as torch has. One that computes alone never waits for another, as
    those that share one product do. No more items are read ahead than there are threads.
    """
    num_threads = torch.get_num_threads()
    if num_threads == 1:
        yield from map(work, items)
        return
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(num_threads) as pool:
        torch.set_num_threads(1)  # of each thread of the pool, which asks when it begins
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > num_threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(num_threads)
