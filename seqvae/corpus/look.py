"""What files hold, how a model hears each of their tracks, and what it would leave out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from seqvae.corpus.config import DataConfig
from seqvae.corpus.scores import extract_file
from seqvae.corpus.sources import find_texts
from seqvae.corpus.survey import Survey, survey
from seqvae.errors import InputError
from seqvae.files import expanded, is_folder
from seqvae.music.beat_files import file_beside, read_beats
from seqvae.music.keys import find_key, key_name
from seqvae.music.midi import MIDI_SUFFIXES, find_midi, read_midi
from seqvae.music.notes import NOTE_NAMES, Piece, bars, chord_share, pitched_notes
from seqvae.music.roles import Part, parts_of
from seqvae.music.track_rules import parse_rules
from seqvae.reasons import Dropped, amount, main_reason, ranked
from seqvae.shipped import models, presets
from seqvae.tokenizers import TOKENIZER_FILE, TOKENIZERS, load_tokenizer, make_tokenizer
from seqvae.tokenizers.contract import MusicTokenizer
from seqvae.tokenizers.tracks import TrackSettings, with_tracks

OVERVIEW_BARS = 2  # of the windows that are tried where no preset is named
STEPS_PER_QUARTER = 4
MAX_REASONS = 4  # on one line
MAX_SHOWN = 3  # lines of a text
TITLES = ("track", "name", "channel", "program", "notes", "range", "chords", "heard as", "why")


@dataclass(frozen=True, eq=False)
class TextLook:
    """A file of text as training would read it."""

    file: Path
    found: Survey

    def table(self) -> str:
        """A line about the file, what is left out of it, and its first lines."""
        shortest, longest = self.found.lengths
        said = f"{amount(self.found.num_lines, 'line')} of {shortest} to {longest} characters"
        said += f"; left out {_listed(self.found.dropped)}" * bool(self.found.dropped)
        said += f"; {_listed(self.found.noted)}" * bool(self.found.noted)
        head = self.found.head[:MAX_SHOWN]
        shown = [f"{number:>5}  {line[:80]}" for number, line in enumerate(head, 1)]
        return "\n".join([f"{self.file}: {said}", *shown])


@dataclass(frozen=True, eq=False)
class Look:
    """A file as a model hears it."""

    file: Path
    piece: Piece
    parts: Sequence[Part]
    """The tracks that have notes, each with its role and the reason for it."""
    verdicts: dict[str, str]
    """For each kind of model, how many training windows the file gives it, and what is left out."""

    def table(self) -> str:
        """A line about the file, one for each track, and one for each kind of model."""
        rows = [TITLES, *map(self._row, self.parts)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        said = [f"{kind}: {verdict}" for kind, verdict in self.verdicts.items()]
        return "\n".join([f"{self.file}: {about(self.piece)}", *lines, *said])

    def _row(self, part: Part) -> tuple[str, ...]:
        low, high = (int(extreme(part.notes["pitch"])) for extreme in (min, max))
        return (
            str(part.number + 1),
            part.track.name or "-",
            str(part.track.channel or "-"),
            str(part.track.program),
            str(len(part.notes)),
            f"{note_name(low)}-{note_name(high)}",
            f"{chord_share(part.notes, self.piece):.0%}",
            part.role,
            part.reason or "-",
        )


def look_at(
    file: str | Path,
    preset: str | Path | None = None,
    tracks: str | None = None,
    beats: str | None = None,
    beats_metre: str | None = None,
    column: str | None = None,
    encoding: str | None = None,
) -> Look | TextLook:
    """What a file holds, and what a model of this preset, or of any kind, would take of it.

    `preset` is the name of a preset or of a model that ships, a config, a run, a bundle, a corpus,
    or a kind of tokenizer.

    Raises:
        InputError: the file cannot be read, the preset is none, or a rule for tracks is none.
    """
    path, tokenizers = expanded(file), tokenizers_of(preset)
    if preset is None and is_text(path):
        tokenizers = {}
    if not tokenizers:
        found = survey(
            path,
            DataConfig(column=column, encoding=encoding),
            column_flag="--column",
            encoding_flag="--encoding",
        )
        if not found.num_lines:
            why = main_reason(found.dropped)
            raise InputError(f"{path}: no lines: {why.text if why else 'the file is empty'}")
        return TextLook(path, found)
    return _look_at_music(path, tokenizers, preset, tracks, beats, beats_metre)


def _look_at_music(
    path: Path,
    tokenizers: Mapping[str, MusicTokenizer],
    preset: str | Path | None,
    tracks: str | None,
    beats: str | None,
    beats_metre: str | None,
) -> Look:
    """What a MIDI file holds, and what these tokenizers take of it."""
    heard = {name: with_tracks(tokenizer, tracks) for name, tokenizer in tokenizers.items()}
    beat_track = read_beats(file_beside(path, beats), beats_metre) if beats else None
    piece = read_midi(path, STEPS_PER_QUARTER, beat_track)
    only = next(iter(heard.values()))
    if preset is not None and isinstance(only, TrackSettings):
        parts = only.parts(piece)
    else:
        parts = parts_of(piece, rules=parse_rules([tracks or ""]))
    verdicts = {
        name: _verdict(path, tokenizer, beats, beats_metre) for name, tokenizer in heard.items()
    }
    return Look(path, piece, parts, verdicts)


def is_text(path: Path) -> bool:
    """Whether neither the name of a file nor its beginning is that of MIDI."""
    try:
        with path.open("rb") as opened:
            head = opened.read(4)
    except OSError:  # which reading it will tell
        return False
    return path.suffix.lower() not in MIDI_SUFFIXES and head not in (b"MThd", b"RIFF")


def files_in(places: Iterable[str | Path]) -> list[Path]:
    """The files among places, and the MIDI files of folders, or else their files of text.

    Raises:
        InputError: a folder holds none.
    """
    files: list[Path] = []
    for place in places:
        path = expanded(place)
        found = (find_midi(path) or find_texts(path)) if is_folder(path) else [path]
        if not found:
            raise InputError(
                f"{place}: the folder holds no MIDI files and no texts; name the files"
            )
        files += found
    return files


def tokenizers_of(preset: str | Path | None) -> dict[str, MusicTokenizer]:
    """The tokenizer of a preset by a name, or one of each kind of music; none of text.

    Raises:
        InputError: there is no such preset.
    """
    if preset is None:
        made = {
            kind: make_tokenizer({"kind": kind, "num_bars": OVERVIEW_BARS})
            for kind, cls in TOKENIZERS.items()
            if cls.modality == "music"
        }
    else:
        made = {Path(preset).stem: _tokenizer_of(preset)}
    return {name: one for name, one in made.items() if isinstance(one, MusicTokenizer)}


def _tokenizer_of(preset: str | Path) -> Any:
    """The tokenizer of a config, a run, a bundle or a corpus, or that of a kind."""
    path = expanded(preset)
    if not path.exists():
        path = (models() | presets()).get(str(preset), path)
    if path.is_dir():
        places = [place for place in (path / "bundle", path) if (place / TOKENIZER_FILE).is_file()]
        return load_tokenizer(places[0] if places else path)
    if str(preset) in TOKENIZERS:
        return make_tokenizer({"kind": str(preset)})
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        kinds = ", ".join(TOKENIZERS)
        raise InputError(
            f"{preset}: no preset ({error.strerror}); name a config, a run, or one of {kinds}"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{preset}: not YAML ({error})") from error
    data = config.get("data") if isinstance(config, dict) else None
    settings = data.get("tokenizer") if isinstance(data, dict) else None
    if not isinstance(settings, dict):
        raise InputError(f"{preset}: no preset (data.tokenizer is missing)")
    return make_tokenizer(settings)


def _verdict(
    path: Path, tokenizer: MusicTokenizer, beats: str | None, beats_metre: str | None
) -> str:
    """What training would take of a file."""
    result = extract_file(path, tokenizer, beats, beats_metre=beats_metre)
    dropped, num_windows = result.extraction.dropped, len(result.extraction.sequences)
    if not num_windows:
        return f"nothing: {main_reason(dropped) or result.refusal or 'no window'}"
    said = [f"{amount(num_windows, 'window')} for training"]
    said += [f"left out {words}" for words in [_listed(dropped)] if words]
    said += [reason.text for reason in result.extraction.noted]
    return "; ".join(said)


def _listed(dropped: Dropped) -> str:
    """Reasons with their counts and remedies."""
    words = [f"{amount(count, reason.unit)}: {reason}" for reason, count in ranked(dropped)]
    return ", ".join(_some(words, MAX_REASONS))


def about(piece: Piece) -> str:
    """Length, metres and tempo of a piece, the key that it suggests and the one that it names."""
    metres = list(dict.fromkeys(map(str, piece.metres)))
    tempos = [tempo.qpm for tempo in piece.tempos]
    speed = " to ".join(dict.fromkeys(f"{qpm:.4g}" for qpm in (min(tempos), max(tempos))))
    signature = f" (signature: {key_name(piece.key)})" if piece.key else ""
    found = find_key(pitched_notes(piece))
    key = f", in {key_name(found)}" if found else ""
    length = amount(sum(1 for _ in bars(piece)), "bar")
    return f"{length} of {', '.join(_some(metres, 3))}, {speed} quarters per minute{key}{signature}"


def _some(words: Sequence[str], number: int) -> list[str]:
    """The first words, and dots if there are more."""
    return [*words[:number], *["..."] * (len(words) > number)]


def note_name(pitch: int) -> str:
    """The name of a MIDI pitch: C4 for 60."""
    return f"{NOTE_NAMES[pitch % 12]}{pitch // 12 - 1}"
