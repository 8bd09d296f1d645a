"""Against pretty_midi, which reads the same files by other code."""

import warnings
from collections import Counter
from pathlib import Path

import pretty_midi
import pytest

from seqvae.music.midi import find_midi, read_midi
from seqvae.music.notes import NOTE, Piece


def pretty(file: Path) -> pretty_midi.PrettyMIDI:
    with warnings.catch_warnings():
        # "Tempo, Key or Time signature change events found on non-zero tracks": true of many
        warnings.simplefilter("ignore", RuntimeWarning)
        return pretty_midi.PrettyMIDI(str(file))


def without_track(piece: Piece) -> Counter[tuple[int, ...]]:
    """The notes; the two libraries number tracks differently."""
    fields = [name for name in NOTE.names or () if name != "track"]
    return Counter(piece.notes[fields].tolist())


@pytest.mark.parametrize(
    ("folder", "every"), [("nottingham/MIDI", 40), ("nottingham/MIDI/melody", 80), ("pop909", 60)]
)
def test_agrees_exactly_with_pretty_midi(data_folder: Path, folder: str, every: int) -> None:
    files = find_midi(data_folder / "midi" / folder)[::every]
    assert len(files) >= 5
    for file in files:
        song = pretty(file)
        ours, theirs = read_midi(file, 4), read_midi(song, 4)
        assert without_track(ours) == without_track(theirs), file
        assert len(ours.notes) > 50
        assert [t.qpm for t in ours.tempos] == pytest.approx([t.qpm for t in theirs.tempos])


KEY = ["pitch", "program", "is_drum"]


def overlapping(piece: Piece) -> set[tuple[int, ...]]:
    """The pitches of a program that are somewhere struck while they sound."""
    last_end: dict[tuple[int, ...], int] = {}
    struck_again = set()
    for start, end, *rest in piece.notes[["start", "end", *KEY]].tolist():
        key = tuple(rest)
        if start < last_end.get(key, 0):
            struck_again.add(key)
        last_end[key] = max(end, last_end.get(key, 0))
    return struck_again


def without(piece: Piece, keys: set[tuple[int, ...]]) -> Piece:
    clear = [key not in keys for key in piece.notes[KEY].tolist()]
    return Piece(piece.notes[clear], piece.steps_per_quarter)


@pytest.mark.parametrize(("folder", "every"), [("jsb_chorales", 25), ("freedoom", 16)])
def test_agrees_with_pretty_midi_but_for_overlaps(
    data_folder: Path, folder: str, every: int
) -> None:
    """All notes agree where no pitch of a program is struck while it sounds.

    There a note-off is ambiguous: pretty_midi ends all sounding notes of the pitch by it, symusic
    the oldest (a second onset of a pitch on the same tick can vanish in pretty_midi, too).
    Zero-length notes would be missing from pretty_midi altogether; these files have none.
    """
    compared = 0
    for file in find_midi(data_folder / "midi" / folder)[::every]:
        song = pretty(file)
        ours, theirs = read_midi(file, 4), read_midi(song, 4)
        overlaps = overlapping(ours)
        ours_clear, theirs_clear = without(ours, overlaps), without(theirs, overlaps)
        assert without_track(ours_clear) == without_track(theirs_clear), file
        compared += len(ours_clear.notes)
        # of the others none is missing here
        onsets = ["start", *KEY]
        assert set(theirs.notes[onsets].tolist()) <= set(ours.notes[onsets].tolist()), file
    assert compared > 2000
