"""The settings of the data: where they come from and how they become sequences."""

from dataclasses import dataclass, field
from typing import Any

from seqvae.errors import InputError, at_least, within
from seqvae.tokenizers import complete_settings


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where the data come from and how they become sequences."""

    source: str | list[str] | None = None
    """A folder, a file, a glob or a list of them, to be split by source file (text in one file:
    by line)."""
    train: str | None = None
    """The training file or folder, where splits are given; then `valid` and `test` too."""
    valid: str | None = None
    """The validation file or folder."""
    test: str | None = None
    """The test file or folder."""
    table: str | None = None
    """A CSV file with the columns midi_filename and split (train, validation or test), as Groove
    and MAESTRO have it; paths are relative to it."""
    beats: str | None = None
    """Name of the beat file beside each MIDI file, where the grid of the files means nothing;
    {stem} stands for the MIDI file's own name. Lines are seconds, and 1 at a downbeat."""
    chords: str | None = None
    """Name of the chord file beside each MIDI file. Lines are begin and end in seconds, and a
    chord. Only a tokenizer with `chords: true` takes them up."""
    tokenizer: dict[str, Any] = field(default_factory=dict)
    """`kind` (text, words, melody, drums, groove, trio or polyphony) and the settings of that
    tokenizer."""
    valid_share: float = 0.1
    """Share of the sources held out for validation; one at least."""
    test_share: float = 0.1
    """Share of the sources held out for the test; one at least."""
    split_seed: int = 0
    """Seed of the split."""
    dedupe: bool = False
    """Drop held-out sequences that stand verbatim in an earlier split."""
    num_workers: int | None = None
    """Processes that read files; by default one a core."""
    corpus: str | None = None
    """Folder of the prepared corpus; by default corpora/NAME."""

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        within(self, 0.0, 1.0, "valid_share", "test_share")
        at_least(self, 0, "split_seed")
        if self.valid_share + self.test_share >= 1:
            raise InputError("valid_share and test_share leave nothing to train on")
        if self.num_workers is not None:
            at_least(self, 1, "num_workers")
        if self.tokenizer:
            object.__setattr__(self, "tokenizer", complete_settings(self.tokenizer))
        given = [name for name in ("train", "valid", "test") if getattr(self, name) is not None]
        ways = [*given[:1], *(name for name in ("source", "table") if getattr(self, name))]
        if len(ways) > 1:
            raise InputError(f"data.{ways[1]} and data.{ways[0]} are both set; give one of the two")
        if given and len(given) < 3:
            missing = next(name for name in ("train", "valid", "test") if name not in given)
            raise InputError(f"data.{given[0]} is set but data.{missing} is not; give all three")
