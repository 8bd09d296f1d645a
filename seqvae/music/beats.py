"""Beat files: the beats of a performance, for MIDI files whose ticks follow no beat.

A beat file has one line per beat. The first column is its time in seconds, the last is 1 at a
downbeat; columns between them are ignored. POP909 and most beat trackers write such files
("0.55 1", "1.22 2", ...).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from seqvae.errors import InputError
from seqvae.music.notes import Metre, Tempo

MIN_BEATS = 4
MAX_BEATS_OUTSIDE = 16  # notes further away than this show that the beats are of another piece


@dataclass(frozen=True, eq=False)
class BeatTrack:
    """Times of beats in rising seconds, and which of them begin a bar. A beat is a quarter."""

    times: NDArray[np.float64]
    is_downbeat: NDArray[np.bool_]

    def quarters(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Positions of times, in quarters from the first downbeat.

        Before the first beat and after the last one, the nearest tempo continues.
        """
        numbers = np.arange(len(self.times)) - int(self.is_downbeat.argmax())
        inside = np.interp(seconds, self.times, numbers)
        first, last = np.diff(self.times)[[0, -1]]
        before = np.minimum(seconds - self.times[0], 0) / first
        after = np.maximum(seconds - self.times[-1], 0) / last
        positions: NDArray[np.float64] = inside + before + after
        return positions

    def bars(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The start of each bar, in quarters from the first downbeat, and its length in quarters.

        The last bar is as long as the one before it.
        """
        downbeats = np.flatnonzero(self.is_downbeat)
        starts = downbeats - downbeats[0]
        lengths = np.diff(starts)
        return starts, np.append(lengths, lengths[-1])

    def metres(self, steps_per_quarter: int, shift: int) -> tuple[Metre, ...]:
        """A metre at each change of the number of beats in a bar; the first starts at step 0.

        The first downbeat is `shift` quarters after the start of the piece.
        """
        starts, lengths = self.bars()
        changes = np.flatnonzero(np.diff(lengths, prepend=0))
        steps = (starts[changes] + shift) * steps_per_quarter
        steps[0] = 0
        changed = zip(steps.tolist(), lengths[changes].tolist(), strict=True)
        return tuple(Metre(step, numerator, 4) for step, numerator in changed)

    def tempos(self, steps_per_quarter: int, shift: int) -> tuple[Tempo, ...]:
        """The mean tempo of each bar; the first starts at step 0 (`shift` as in `metres`)."""
        times = self.times[self.is_downbeat]
        starts, lengths = self.bars()
        steps = (starts[:-1] + shift) * steps_per_quarter
        steps[0] = 0
        qpms = 60 * lengths[:-1] / np.diff(times)
        return tuple(map(Tempo, steps.tolist(), qpms.tolist()))


def read_beats(path: Path) -> BeatTrack:
    """Read a beat file.

    Raises:
        InputError: it cannot be read, is not a table of numbers, has times that do not rise, or
            has fewer than two downbeats.
    """
    try:
        with path.open(encoding="utf-8-sig") as lines:
            table: Float[np.ndarray, "N K"] = np.loadtxt(lines, ndmin=2)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise InputError(f"{path}: not a table of numbers ({error})") from error
    if len(table) < MIN_BEATS or table.shape[1] < 2:
        raise InputError(
            f"{path}: {table.shape[0]} lines of {table.shape[1]} columns; a beat file has "
            f"{MIN_BEATS} lines or more, each with a time in seconds and 1 at a downbeat"
        )
    times = table[:, 0]
    if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        beat = int(np.argmax(~(np.diff(times, prepend=-np.inf) > 0)))
        raise InputError(f"{path}: the times do not rise at beat {beat + 1}, {times[beat]:g}")
    is_downbeat = table[:, -1] == 1
    if is_downbeat.sum() < 2:
        raise InputError(f"{path}: {is_downbeat.sum()} downbeats; at least two lines must end in 1")
    return BeatTrack(times, is_downbeat)


def file_beside(midi_file: Path, pattern: str) -> Path:
    """The path of a file beside a MIDI file; `{stem}` in the pattern stands for its name."""
    return midi_file.parent / pattern.replace("{stem}", midi_file.stem)
