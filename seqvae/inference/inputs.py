"""Inputs -> windows of tokens: sentences, MIDI files and `pretty_midi.PrettyMIDI` objects.

What reads MIDI is imported where that is done, so that a model of text starts without it.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

from seqvae.errors import InputError
from seqvae.files import expanded, is_file, is_folder
from seqvae.inference.options import INPUTS, Hearing, Reading, Source, as_inputs
from seqvae.music.beat_files import beats_beside, file_beside, read_beats
from seqvae.music.beats import BeatTrack
from seqvae.music.chords import read_chords
from seqvae.music.loops import repeated
from seqvae.music.notes import Piece
from seqvae.music.timing import (
    FINER_GRIDS,
    NO_GRID,
    OTHER_BEATS,
    has_grid,
    off_grid,
    on_sixteenths,
)
from seqvae.reasons import amount, in_words
from seqvae.tokenizers import AnyTokenizer
from seqvae.tokenizers.contract import Example, MusicTokenizer, TextTokenizer
from seqvae.tokenizers.keys import in_said_key
from seqvae.tokenizers.tracks import warn_of_unused_rules, with_tracks

LOOKS_LIKE_A_NAME = re.compile(r"\.\w+$|/")  # a word may be the name of a file, too
MAX_TOLD = 10  # files of a folder that a warning names

logger = logging.getLogger(__name__)


def listed_sources(tokenizer: AnyTokenizer, inputs: Source | Sequence[Source]) -> list[Source]:
    """Inputs as a list; a folder stands for the MIDI files in it.

    Raises:
        InputError: there are none.
    """
    found = as_inputs(inputs)
    if tokenizer.modality == "text":
        return [*found]
    return [clip for source in found for clip in _clips_in(source)]


@dataclass(frozen=True, eq=False)
class Opened:
    """An input that was read, which every verb takes in its place."""

    source: Source
    windows: list[Example]

    def __str__(self) -> str:
        """What messages call it."""
        return name_of(self.source)


def open_inputs(
    tokenizer: AnyTokenizer, inputs: Source | Sequence[Source], reading: Reading
) -> list[Opened]:
    """Read inputs. Of a folder, files that do not fit are left out, and a warning says why.

    Raises:
        InputError: there are none, an input that is named cannot be read, or nothing in a folder.
    """
    opened: list[Opened] = []
    for source in as_inputs(inputs):
        if isinstance(source, Opened):
            opened.append(source)
        elif tokenizer.modality == "text" or not _is_folder(source):
            opened.append(Opened(source, windows_of(tokenizer, source, reading)))
        else:
            opened += _open_folder(tokenizer, source, reading)
    return opened


def _open_folder(tokenizer: MusicTokenizer, folder: str | Path, reading: Reading) -> list[Opened]:
    """The files of a folder that can be read."""
    files = _clips_in(folder)
    opened: list[Opened] = []
    reasons: list[str] = []
    for file in files:
        try:
            opened.append(Opened(file, windows_of(tokenizer, file, reading)))
        except InputError as error:
            reasons.append(str(error))
    if not opened:
        raise InputError(f"{folder}: none of {amount(len(files), 'file')} fits: {reasons[0]}")
    tell_left_out(folder, reasons, len(files), "file")
    return opened


def tell_left_out(source: str | Path, reasons: Sequence[str], number: int, unit: str) -> None:
    """Warn of what is left out of so many files or lines of a source, and why."""
    if reasons:
        logger.warning("%s: %d of %s left out", source, len(reasons), amount(number, unit))
        for reason in reasons[:MAX_TOLD]:
            logger.warning("  %s", reason)
        if len(reasons) > MAX_TOLD:
            logger.warning("  and %s", amount(len(reasons) - MAX_TOLD, "other"))


def check_is_single(source: Source) -> None:
    """Refuse a folder, where a verb takes one clip.

    Raises:
        InputError: it is a folder, or nothing.
    """
    if _is_folder(source):
        raise InputError(f"{source}: a folder; name one MIDI file of it")


def _is_folder(source: Source) -> TypeGuard[str | Path]:
    if source == "":  # which a path takes for the current folder
        raise InputError("an input is an empty string; name a MIDI file or a folder")
    return isinstance(source, str | Path) and is_folder(source)


def _clips_in(source: Source) -> Sequence[Source]:
    """The MIDI files of a folder; anything else as it is."""
    if not _is_folder(source):
        return [source]
    from seqvae.music.midi import find_midi

    files = find_midi(expanded(source))
    if not files:
        raise InputError(f"{source}: the folder holds no MIDI files")
    return files


def windows_of(tokenizer: AnyTokenizer, source: Source, reading: Reading) -> list[Example]:
    """The windows of one input.

    Raises:
        InputError: it cannot be read as data of the tokenizer; the reason is named.
    """
    if isinstance(source, Opened):
        return source.windows
    if not isinstance(source, str | Path):
        from seqvae.music.midi import PrettyMIDI

        if not isinstance(source, PrettyMIDI):
            raise TypeError(f"an input is a {type(source).__name__}; {INPUTS}")
    if tokenizer.modality == "text":
        return [_sentence(tokenizer, source)]
    return _clip(tokenizer, source, reading)


def _sentence(tokenizer: TextTokenizer, source: Source) -> Example:
    """The tokens of a text; file names are mistakes."""
    if not isinstance(source, str):
        raise InputError(f"{source!r}: this model takes text")
    if LOOKS_LIKE_A_NAME.search(source) and is_file(source):
        raise InputError(
            f"{source}: a file; this model takes sentences, each in quotes, or those of a file, a "
            f"line each, by - < {source}"
        )
    return sentence(tokenizer, source)


def sentence(tokenizer: TextTokenizer, source: str) -> Example:
    """The tokens of a text, whatever it looks like; no file is looked for.

    Raises:
        InputError: it is not text in UTF-8, or too long for the model.
    """
    tokens = tokenizer.encode(as_utf8(source))
    if len(tokens) > tokenizer.max_steps:
        raise InputError(
            f"{source[:40]!r}... has {len(tokens)} tokens; "
            f"the model takes at most {tokenizer.max_steps}"
        )
    return Example(tokens)


def as_utf8(source: str) -> str:
    """A text without surrogates, which stand for its bytes in a locale without UTF-8.

    Raises:
        InputError: it is not text in UTF-8.
    """
    try:
        return source.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeError as error:
        raise InputError(f"{source[:80]!r}: not text in UTF-8") from error


def _clip(tokenizer: MusicTokenizer, source: Source, reading: Reading) -> list[Example]:
    """The windows of a MIDI file or object."""
    heard = with_tracks(tokenizer, reading.tracks)
    beats = None
    if reading.beats is not None:
        beats = read_beats(_beside(source, reading.beats), reading.beats_metre)
    piece = _piece(tokenizer, source, reading, beats)
    name = name_of(source)
    if reading.tracks is not None:
        warn_of_unused_rules(heard, piece, name)
    whole = repeated(piece, tokenizer.window_steps(piece.metres[0]))
    if whole.noted:
        logger.warning("%s: %s", name, in_words(whole.noted))
    if not has_grid(piece, by_beats=beats is not None):
        mend = f"{NO_GRID.text}{_beats_beside(source) or '; name its beat file with --beats'}"
        logger.warning("%s: %s", name, mend if beats is None else OTHER_BEATS.text)
    else:
        _warn_of_steps(tokenizer, piece, name)
    whole = in_said_key(heard, whole, reading.input_key)
    try:
        return heard.encode(whole, reading.bar)
    except InputError as error:
        hint = "" if beats else _beats_beside(source)
        raise InputError(f"{name}: {error}{hint}") from error


def read_clip(
    tokenizer: MusicTokenizer, source: Source, hearing: Hearing
) -> tuple[MusicTokenizer, Piece]:
    """The tokenizer by the rules for the tracks of a clip, and the clip as long as it is.

    Raises:
        InputError: the clip cannot be read, or a rule is none.
    """
    check_is_single(source)
    if not isinstance(source, str | Path):
        from seqvae.music.midi import PrettyMIDI

        if not isinstance(source, PrettyMIDI):
            raise TypeError(f"an input is a {type(source).__name__}; {INPUTS}")
    heard = with_tracks(tokenizer, hearing.tracks)
    piece = _piece(tokenizer, source, hearing)
    if hearing.tracks is not None:
        warn_of_unused_rules(heard, piece, name_of(source))
    if piece.noted:
        logger.warning("%s: %s", name_of(source), in_words(piece.noted))
    if not has_grid(piece):
        logger.warning("%s: %s, so that its bars mean nothing", name_of(source), NO_GRID.text)
    else:
        _warn_of_steps(tokenizer, piece, name_of(source))
    return heard, in_said_key(heard, piece, hearing.input_key)


def _warn_of_steps(tokenizer: MusicTokenizer, piece: Piece, name: str) -> None:
    """Say so where finer steps than those of a model would hold most of the onsets of a clip.

    What is played by hand, a bit before and after the steps, is rounded without a word.
    """
    if "timing" in tokenizer.keeps or on_sixteenths(piece):
        return
    if (reason := off_grid(piece)) in FINER_GRIDS:
        logger.warning("%s: %s; a model trained with %s does", name, reason.text, reason.remedy)


def _piece(
    tokenizer: MusicTokenizer, source: Source, hearing: Hearing, beats: BeatTrack | None = None
) -> Piece:
    """A MIDI file or object on the grid of a tokenizer, with its chords if they are named."""
    from seqvae.music.midi import read_midi

    chords = None
    if hearing.chord_file is not None:
        chords = read_chords(_beside(source, hearing.chord_file))
    piece = read_midi(source, tokenizer.steps_per_quarter, beats, chords)
    if not len(piece.notes):
        logger.warning("%s: no notes in it; it is heard as silence", name_of(source))
    return piece


def _beside(source: Source, name: str) -> Path:
    """A file beside a MIDI file."""
    if not isinstance(source, str | Path):
        raise InputError("beats and chords lie beside a file; a PrettyMIDI object has none")
    return file_beside(expanded(source), name)


def name_of(source: Source) -> str:
    """What messages call an input."""
    return str(source) if isinstance(source, str | Path) else "the PrettyMIDI object"


def _beats_beside(source: Source) -> str:
    """Words that name a beat file beside an input; empty if there is none."""
    if not isinstance(source, str | Path):
        return ""
    pattern = beats_beside(expanded(source))
    return "" if pattern is None else f"; beats lie beside: --beats '{pattern}'"
