"""What visitors wait for, by visitor: whoever waits can end it."""

import contextlib
import threading
from collections.abc import Iterator


class Cancelled(Exception):
    """Whoever asked does not want it any more."""


class Waiting:
    """The requests that are worked on."""

    def __init__(self) -> None:
        """There are none."""
        self._stops: dict[str, set[threading.Event]] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def request_of(self, visitor: str) -> Iterator[threading.Event]:
        """A request, until the block ends; the event is set when the visitor cancels it."""
        stop = threading.Event()
        with self._lock:
            self._stops.setdefault(visitor, set()).add(stop)
        try:
            yield stop
        finally:
            with self._lock:
                self._stops[visitor].discard(stop)
                if not self._stops[visitor]:
                    del self._stops[visitor]

    def cancel(self, visitor: str) -> int:
        """End what a visitor waits for; returns how many requests that were."""
        with self._lock:
            stops = [*self._stops.get(visitor, ())]
        for stop in stops:
            stop.set()
        return len(stops)
