"""The settings of the data: where they come from and how they become sequences."""

import os
from dataclasses import dataclass, field
from typing import Any

from seqvae.corpus.encodings import check_encoding
from seqvae.errors import InputError, at_least, check_types, one_of, within
from seqvae.music.notes import parse_metre
from seqvae.music.track_rules import as_rules
from seqvae.tokenizers import TOKENIZERS, complete_settings


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where the data come from and how they become sequences."""

    source: str | list[str] | None = None
    """Folders, files or globs, to be split by source file; all files of music that play the same
    tune, in whatever key or arrangement, go into the same split. Fewer than three files of text are
    split by line, all copies of a line into the same split."""
    train: str | list[str] | None = None
    """The training files or folders, where the data come in splits; then `valid` and `test` too."""
    valid: str | list[str] | None = None
    """The validation files or folders."""
    test: str | list[str] | None = None
    """The test files or folders."""
    table: str | None = None
    """A CSV file with the columns midi_filename and split (train, validation or test), as in Groove
    and MAESTRO; paths are relative to it."""
    column: str | None = None
    """The column of the text in CSV, TSV, JSONL, JSON or Parquet: its name, or its number from 1
    where there is no header."""
    label_column: str | None = None
    """The column of labels beside the text: numbers, or two classes. `attributes` fits them as one
    more attribute."""
    encoding: str | None = None
    """Encoding of texts, such as cp1252 or gb18030; by default UTF-8, or UTF-16 or UTF-32 where the
    bytes show it."""
    beats: str | None = None
    """Name of the beat file beside each MIDI file, for performances whose grid means nothing;
    {stem} stands for the name of the MIDI file. A line has seconds, and the number of the beat in
    its bar (POP909, madmom), a label (ASAP), or bar.beat (Sonic Visualiser)."""
    beats_metre: str | None = None
    """Metre of beat files that name none, such as 6/8, where a beat is a dotted quarter. By it bars
    are counted in files of seconds alone. By default a beat is a quarter."""
    grid: str = "checked"
    """`checked`: a performance whose onsets follow no beat of its file is refused, as its bars mean
    nothing; beats mend it. `none`: it is taken by the tempo and the metre of the file."""
    chords: str | None = None
    """Name of the chord file beside each MIDI file. Each line has begin and end in seconds, and a
    chord. Only a tokenizer with `chords: true` reads them."""
    tracks: str | list[str] | dict[str, str] | None = None
    """Rules for which tracks are what, where names, channels and programs do not tell: 'drums:
    name=drum*; melody: highest; bass: channel=2'. They become `tracks` of the tokenizer."""
    tokenizer: dict[str, Any] = field(default_factory=dict)
    """`kind` (text, words, symbols, melody, drums, groove, trio, voices or polyphony) and the
    settings of that tokenizer."""
    vocabulary: str | None = None
    """A run, a bundle or a shipped model, whose vocabulary is taken; by default one is learned
    from the training split."""
    valid_share: float = 0.1
    """Share of the sequences held out for validation, as nearly as whole sources allow; at least
    one source."""
    test_share: float = 0.1
    """Share of the sequences held out for the test, as nearly as whole sources allow; at least one
    source."""
    split_seed: int = 0
    """Seed of the split."""
    dedupe: bool = False
    """Drop held-out sequences that stand verbatim in an earlier split."""
    num_workers: int | None = None
    """Processes that read MIDI files, or encode text of some megabytes; by default one per core. 0
    does it without processes: then a MIDI file that crashes the reader ends everything."""
    corpus: str | None = None
    """Folder of the prepared corpus; by default corpora/NAME. Where no data are named, it is taken
    as it is: one machine may prepare it, and another one train."""

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        for name in ("source", "train", "valid", "test", "table", "corpus"):
            object.__setattr__(self, name, as_texts(getattr(self, name)))
        check_types(self, section="data.")
        within(self, 0.0, 1.0, "valid_share", "test_share")
        at_least(self, 0, "split_seed")
        one_of(self, "grid", ("checked", "none"), section="data.")
        if self.valid_share + self.test_share >= 1:
            raise InputError("valid_share and test_share leave nothing to train on")
        if self.num_workers is not None:
            at_least(self, 0, "num_workers")
        if self.encoding is not None:
            check_encoding(self.encoding)
        if self.label_column is not None and self.column is None:
            raise InputError("data.label_column is set but data.column is not; give both")
        if self.tokenizer:
            object.__setattr__(self, "tokenizer", complete_settings(self._with_tracks()))
            object.__setattr__(self, "tracks", None)
        if self.beats_metre is not None:
            parse_metre(self.beats_metre)
        self._check_sources()

    def _with_tracks(self) -> dict[str, Any]:
        """The settings of the tokenizer with the rules for tracks."""
        tracks = self.tokenizer.get("tracks") if self.tracks is None else self.tracks
        if tracks is None:
            return self.tokenizer
        kind = TOKENIZERS.get(self.tokenizer.get("kind", ""))
        if kind is not None and kind.modality == "text":
            raise InputError("data.tracks is for music; this tokenizer takes text")
        return self.tokenizer | {"tracks": as_rules(tracks)}

    def _check_sources(self) -> None:
        """Refuse several ways of naming the data, or one that is not complete."""
        splits = ("train", "valid", "test")
        named = [split for split in splits if getattr(self, split) is not None]
        ways = [*named[:1], *(name for name in ("source", "table") if getattr(self, name))]
        if len(ways) > 1:
            raise InputError(f"data.{ways[1]} and data.{ways[0]} are both set; give one of the two")
        if named and len(named) < 3:
            missing = next(split for split in splits if split not in named)
            raise InputError(f"data.{named[0]} is set but data.{missing} is not; give all three")


def as_texts(places: Any) -> Any:
    """Paths as texts; of several ways to name one place the plainest."""
    if isinstance(places, list | tuple):
        named = [os.fspath(each) if isinstance(each, os.PathLike) else each for each in places]
        return named[0] if len(named) == 1 else named
    return os.fspath(places) if isinstance(places, os.PathLike) else places
