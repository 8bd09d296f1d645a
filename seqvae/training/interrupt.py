"""The first Ctrl-C asks a training to stop between two steps; the second one breaks in."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

SIGNALS = (signal.SIGINT,)


@contextlib.contextmanager
def first_interrupt_to(stop: Callable[[], None]) -> Iterator[None]:
    """Let the first signal call `stop` and nothing else; the second raises KeyboardInterrupt.

    Outside of the main thread, where Python delivers no signals, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: Any) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.default_int_handler)
        stop()

    previous = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
