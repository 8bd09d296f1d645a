"""Chords by name, and pieces of them."""

from collections.abc import Iterable

from seqvae.music.notes import NOTE_NAMES, Piece, make_notes

NAMES = ["N", *(r + q for q in ("", "m", "aug", "dim", "sus4") for r in NOTE_NAMES)]  # by number


def named(numbers: Iterable[int]) -> list[str]:
    return [NAMES[number] for number in numbers]


def notes(*chords: tuple[int, list[int]]) -> Piece:
    rows = [(step, step + 4, pitch) for step, pitches in chords for pitch in pitches]
    start, end, pitch = (list(column) for column in zip(*rows, strict=True))
    return Piece(make_notes(start, end, pitch), 4)
