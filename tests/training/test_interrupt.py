"""The first Ctrl-C only asks; the second one breaks in."""

import signal
import threading

import pytest

from seqvae.training.interrupt import first_interrupt_to


def test_the_first_interrupt_asks_and_the_second_breaks_in() -> None:
    asked: list[bool] = []
    previous = signal.getsignal(signal.SIGINT)
    with first_interrupt_to(lambda: asked.append(True)):
        signal.raise_signal(signal.SIGINT)
        assert asked == [True]  # and the block went on
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert asked == [True]
    assert signal.getsignal(signal.SIGINT) is previous


def test_after_the_block_an_interrupt_is_what_it_was() -> None:
    asked: list[bool] = []
    with first_interrupt_to(lambda: asked.append(True)):
        pass
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert not asked


def test_other_threads_leave_the_signals_alone() -> None:
    previous = signal.getsignal(signal.SIGINT)
    inside: list[object] = []

    def work() -> None:
        with first_interrupt_to(lambda: None):
            inside.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert inside == [previous]
