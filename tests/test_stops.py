"""Signals that ask for the end: the first may only ask, the second breaks in."""

import signal
import threading

import pytest

from seqvae.stops import SIGNALS, Stopped, exit_code, first_to, held_back, on_signal, stop

BY_NAME = pytest.mark.parametrize("number", sorted(SIGNALS), ids=lambda number: number.name)


def test_the_three_signals_are_those_that_ask_for_the_end() -> None:
    assert {signal.SIGINT, signal.SIGTERM, signal.SIGHUP} == SIGNALS


@BY_NAME
def test_the_first_signal_asks_and_the_second_breaks_in(number: signal.Signals) -> None:
    asked: list[int] = []
    previous = {each: signal.getsignal(each) for each in SIGNALS}
    with on_signal(first_to(asked.append)):
        signal.raise_signal(number)
        assert asked == [number]  # and the block went on
        with pytest.raises(Stopped) as second:
            signal.raise_signal(signal.SIGTERM)
    assert asked == [number]
    assert second.value.number == signal.SIGTERM
    assert {each: signal.getsignal(each) for each in SIGNALS} == previous


@BY_NAME
def test_the_exit_code_is_that_of_the_shell(number: signal.Signals) -> None:
    with on_signal(stop), pytest.raises(KeyboardInterrupt) as caught:
        signal.raise_signal(number)
    assert exit_code(caught.value) == {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}[number.name]
    assert str(caught.value) == "interrupted"
    assert exit_code(KeyboardInterrupt()) == 130


def test_signals_that_a_library_took_are_taken_back() -> None:
    asked: list[int] = []
    with on_signal(asked.append) as listen:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.raise_signal(signal.SIGTERM)
        assert asked == []
        listen()
        signal.raise_signal(signal.SIGTERM)
    assert asked == [signal.SIGTERM]


def test_under_nohup_a_hangup_stays_ignored() -> None:
    asked: list[int] = []
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with on_signal(asked.append) as listen:
            listen()
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, previous)
    assert asked == []


def test_other_threads_leave_the_signals_alone() -> None:
    previous = signal.getsignal(signal.SIGINT)
    inside: list[object] = []

    def work() -> None:
        with on_signal(stop) as listen:
            listen()
            inside.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert inside == [previous]


@BY_NAME
def test_a_signal_that_is_held_back_comes_when_it_is_let_in(number: signal.Signals) -> None:
    asked: list[int] = []
    with on_signal(asked.append):
        with held_back():
            signal.raise_signal(number)
            assert asked == []
            with held_back(blocked=False):
                pass
            assert asked == [number]
            signal.raise_signal(number)
            assert asked == [number]
        assert asked == [number, number]
