"""Signals that ask a program to end. All of them do what Ctrl-C does, and differ in the exit code.

kill, timeout, batch systems and containers send SIGTERM; a terminal that is closed sends SIGHUP.
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
SIGNALS = frozenset(getattr(signal, name) for name in NAMES if hasattr(signal, name))


class Stopped(KeyboardInterrupt):
    """One of the signals came. The text says what is left to do, if anything is."""

    def __init__(self, number: int = signal.SIGINT, message: str = "interrupted") -> None:
        super().__init__(message)
        self.number = number


def number_of(interruption: KeyboardInterrupt) -> int:
    """The signal; Python itself raises for SIGINT alone."""
    return interruption.number if isinstance(interruption, Stopped) else int(signal.SIGINT)


def exit_code(interruption: KeyboardInterrupt) -> int:
    """The shell's code for a process that this signal ended."""
    return 128 + number_of(interruption)


def stop(number: int) -> None:
    """Raise `Stopped` wherever the program stands."""
    raise Stopped(number)


def first_to(ask: Callable[[int], None]) -> Callable[[int], None]:
    """What the first signal does; each signal after it breaks in."""
    asked: list[int] = []

    def act(number: int) -> None:
        if asked:
            stop(number)
        asked.append(number)
        ask(number)

    return act


@contextlib.contextmanager
def on_signal(act: Callable[[int], None]) -> Iterator[Callable[[], None]]:
    """Let each signal call `act` with its number, and nothing else, until the block ends.

    A SIGHUP that is ignored, as under nohup, stays ignored. The block gets a function that takes
    the signals back from a library which has taken them. Outside of the main thread, where Python
    delivers no signals, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    previous = {number: signal.getsignal(number) for number in SIGNALS}

    def handle(number: int, frame: Any) -> None:
        act(number)

    def listen() -> None:
        for number, handler in previous.items():
            if not (number == getattr(signal, "SIGHUP", None) and handler == signal.SIG_IGN):
                signal.signal(number, handle)

    listen()
    try:
        yield listen
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def held_back(*, blocked: bool = True) -> Iterator[None]:
    """Hold the signals back within the block, or let them in again.

    Processes that are started meanwhile inherit this, and so leave the signals to their parent.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    how = signal.SIG_BLOCK if blocked else signal.SIG_UNBLOCK
    previous = signal.pthread_sigmask(how, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
