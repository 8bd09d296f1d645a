"""Threads that each make something of an item."""

import threading
from collections.abc import Iterator

import pytest
import torch

from seqvae.model.threads import in_parallel


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
def test_results_come_in_order_however_long_each_takes() -> None:
    """The first is made last: it waits until the two after it are there."""
    others = threading.Semaphore(0)

    def work(item: int) -> tuple[int, int]:
        if item:
            others.release()
        else:
            assert others.acquire(timeout=10)
            assert others.acquire(timeout=10)
        return item, torch.get_num_threads()

    assert [*in_parallel(work, range(7))] == [(item, 1) for item in range(7)]
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
def test_few_items_are_read_ahead() -> None:
    items = iter(range(100))
    results = in_parallel(lambda item: item, items)
    assert [next(results), next(results)] == [0, 1]
    assert next(items) == 5
    results.close()  # type: ignore[attr-defined]  # a generator
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
def test_what_goes_wrong_in_a_thread_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        [*in_parallel(lambda item: 1 // item, [1, 1, 0, 1])]
    assert torch.get_num_threads() == 3


def test_a_single_thread_is_this_one() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        made = [*in_parallel(lambda _: threading.current_thread(), range(3))]
    finally:
        torch.set_num_threads(before)
    assert made == [threading.main_thread()] * 3
