"""What one rank may ask of all between two steps: to stop because of a signal, or a checkpoint.

All ranks must act at the same step. So each names its wishes after every step, and reads those of
all one step later, when they have arrived: nobody waits for them, and no GPU is asked.
"""

import time

from seqvae.model.ranks import is_main, size
from seqvae.training.agreements import Agreement


class Requests:
    """The wishes of this rank, and what all ranks have agreed on."""

    def __init__(self, checkpoint_minutes: float) -> None:
        """`checkpoint_minutes` is the time from one checkpoint to the next."""
        self.seconds = 60 * checkpoint_minutes
        self.asked_at = time.monotonic()
        self.signal = 0
        self.signal_of_all = 0
        self.sent: Agreement | None = None

    def interrupt(self, number: int) -> None:
        """Ask all to end after the step or the validation that runs, because of a signal."""
        self.signal = number

    def between_steps(self) -> bool:
        """Whether a checkpoint is to be written here; signals come to be known to all."""
        due = is_main() and time.monotonic() - self.asked_at >= self.seconds
        if due:
            self.asked_at = time.monotonic()
        wishes = Agreement(self.signal, due)
        if size() > 1:
            arrived, self.sent = self.sent, wishes
        else:
            arrived = wishes
        if arrived is None:
            return False
        signal, checkpoint = arrived.read()
        self.signal_of_all = max(self.signal_of_all, signal)
        return bool(checkpoint)

    def agree(self) -> None:
        """Let signals come to be known to all at once."""
        self.signal_of_all = max(self.signal_of_all, *Agreement(self.signal).read())
