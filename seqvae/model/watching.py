"""Who waits for a decoding: is told of each step, and ends it by raising.

The model knows nothing of pages and queues; whoever shows progress watches from outside.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar

Watcher = Callable[[int, int], None]
"""Takes the number of the step that begins, from 0, and the number of all steps."""

_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextlib.contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Within the block, in this thread, each step of a decoding calls the watcher first."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def tell(step: int, num_steps: int) -> None:
    """A step begins; what the watcher raises ends the decoding."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher(step, num_steps)
