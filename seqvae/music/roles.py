"""What each track of a piece is - melody, bass, drums, chords or another line - and why.

Evidence, the strongest first: a rule of the user; MIDI's drum channel and drum banks; the name of
the track, or of a file with one track; where only drums are wanted, that it is the only track; its
General MIDI program; whether it strikes chords. Of the lines that are left, the highest is the
melody, and the lowest is the bass if it lies below C4 most of the time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from seqvae.music.notes import Notes, Piece, Track, chord_share, melody_line, uncovered
from seqvae.music.track_names import role_in_name
from seqvae.music.track_rules import PICKS, Rule

MIDDLE_C = 60
ONLY_TRACK = "the only track, and drums are wanted"
MAX_CHORD_SHARE = 0.5
DRUM_CHANNEL = 10
BASS_PROGRAMS = frozenset({*range(32, 40), 43})  # basses, and the double bass
PERCUSSION_PROGRAMS = frozenset(range(112, 120))
UNNAMED_PROGRAMS = PERCUSSION_PROGRAMS | {0}  # of tracks that may be drums

# Ranks of lines, as candidates for the melody.
LEAD, SECTION, ACCOMPANIMENT, LOW, PERCUSSION, EFFECT = range(6)
RANKED_PROGRAMS = {
    SECTION: frozenset({*range(44, 52), 55, *range(61, 64), *range(88, 104)}),  # and pads
    PERCUSSION: PERCUSSION_PROGRAMS,
    EFFECT: frozenset(range(120, 128)),
}


@dataclass(frozen=True, eq=False)
class Part:
    """A track of a piece, and what it is taken for."""

    number: int
    """Of the track in the notes."""
    track: Track
    notes: Notes
    role: str = "line"
    """melody, bass, drums, chords, none (by a rule), or line: a voice that is neither
    melody nor bass."""
    reason: str = "another line"
    claim: str | None = None
    """Of a line, the role that its name, its program or a rule says."""
    by_rule: bool = False
    rank: int = LEAD
    is_outermost: bool = False
    """Whether its line leaves out notes that are struck while a higher one sounds; of a bass, a
    lower one."""
    lines: dict[bool, Notes] = field(default_factory=dict)
    """The voices of the lowest notes (True) and of the highest, once they are known."""

    @property
    def line(self) -> Notes:
        """The notes as one voice: of those struck together the highest, of a bass the lowest."""
        is_low = self.claim == "bass"
        if is_low not in self.lines:
            notes = uncovered(self.notes, lowest=is_low) if self.is_outermost else self.notes
            self.lines[is_low] = melody_line(notes, lowest=is_low)
        return self.lines[is_low]

    @property
    def height(self) -> float:
        """The mean pitch of the line."""
        return float(self.line["pitch"].mean())


@lru_cache(maxsize=2)  # a piece is asked for its windows, as written and moved, and for its tune
def parts_of(
    piece: Piece,
    wanted: tuple[str, ...] = ("melody", "bass", "drums"),
    rules: tuple[Rule, ...] = (),
    max_chord_share: float = MAX_CHORD_SHARE,
) -> tuple[Part, ...]:
    """The tracks of a piece that have notes, each with its role and a reason for it.

    `wanted` are the roles that a model distinguishes: where it knows no bass, basses are lines.
    """
    notes_of = _notes_of_tracks(piece.notes)
    is_only = len(notes_of) == 1
    parts = []
    for number, notes in notes_of.items():
        track = _track(piece, number, notes)
        verdict = _ruled(number, track, rules, piece.name) or _judged(
            track, notes, piece, wanted, max_chord_share, is_only=is_only
        )
        if verdict.claim == "bass" and "bass" not in wanted:
            verdict = verdict._replace(claim=None, rank=LOW)
        parts.append(Part(number, track, notes, *verdict))
    for role in ("melody", "bass"):
        if role in wanted and any(part.role == "line" for part in parts):
            parts = _picked(parts, role, rules)
    return tuple(parts)


def _notes_of_tracks(notes: Notes) -> dict[int, Notes]:
    """The notes of each track that has some, by its number."""
    tracks = notes["track"]
    if len(notes) and (tracks == tracks[0]).all():  # of most files, and faster
        return {int(tracks[0]): notes}
    by_track = notes.take(np.argsort(tracks, kind="stable"))
    sizes = np.bincount(tracks)
    ends = np.cumsum(sizes).tolist()
    places = zip(ends, sizes.tolist(), strict=True)
    return {number: by_track[end - size : end] for number, (end, size) in enumerate(places) if size}


def _track(piece: Piece, number: int, notes: Notes) -> Track:
    """What is known of a track."""
    if number < len(piece.tracks):
        return piece.tracks[number]
    return Track(program=int(notes["program"][0]))


class Verdict(NamedTuple):
    """What a track is by itself: the fields of a part of these names."""

    role: str = "line"
    reason: str = "another line"
    claim: str | None = None
    by_rule: bool = False
    rank: int = LEAD


def _ruled(number: int, track: Track, rules: Sequence[Rule], file_name: str) -> Verdict | None:
    """What a track is by the first rule that fits it; None if none does."""
    for rule in rules:
        if rule.fits(number, track, file_name):
            return _claimed(rule.role, f"by the rule {str(rule)!r}")._replace(by_rule=True)
    return None


def _judged(
    track: Track,
    notes: Notes,
    piece: Piece,
    wanted: Sequence[str],
    max_chord_share: float,
    *,
    is_only: bool,
) -> Verdict:
    """What a track is by what is known of it, and by its notes."""
    program, channel = track.program, track.channel
    if np.count_nonzero(notes["is_drum"]):
        return _claimed("drums", "channel 10" if channel == DRUM_CHANNEL else "a drum kit")
    said, reason = _said(track, piece.name if is_only else "")
    if said in ("drums", "melody", "bass"):
        return _claimed(said, reason)
    is_plain = said is None and program in UNNAMED_PROGRAMS
    if is_only and is_plain and tuple(wanted) == ("drums",):
        return _claimed("drums", ONLY_TRACK)
    if "melody" not in wanted and "bass" not in wanted:
        return Verdict()
    if program in BASS_PROGRAMS and said is None:
        return _claimed("bass", f"program {program}")
    share = chord_share(notes, piece)
    if share > max_chord_share:
        return _claimed("chords", f"{share:.0%} of its onsets are chords")
    if said == "accompaniment":
        return Verdict(rank=ACCOMPANIMENT, reason=reason)
    for rank, programs in RANKED_PROGRAMS.items():
        if program in programs:
            return Verdict(rank=rank, reason=f"program {program}")
    return Verdict()


def _claimed(role: str, reason: str) -> Verdict:
    """A role; of a line, which has yet to be chosen, it is a claim."""
    if role in ("melody", "bass"):
        return Verdict(claim=role, reason=reason)
    return Verdict(role, reason)


def _said(track: Track, file_name: str) -> tuple[str | None, str]:
    """What the name of a track, or else of its file, says; and where."""
    if (role := role_in_name(track.name)) is not None:
        return role, "by its name"
    return role_in_name(file_name, of_file=True), "by the name of its file"


def _picked(parts: list[Part], role: str, rules: Sequence[Rule]) -> list[Part]:
    """The parts, with the role given to lines that claim it or else deserve it.

    One line has it, unless rules give it to several.
    """
    lines = [part for part in parts if part.role == "line" and part.claim in (role, None)]
    claiming = [part for part in lines if part.claim == role]
    rule = next((rule for rule in rules if rule.role == role and rule.key in PICKS), None)
    if rule:
        pool, reason = lines, f"by the rule {str(rule)!r}"
    elif claiming:
        pool, reason = claiming, ""
    elif role == "melody":
        best = min((part.rank for part in lines), default=LEAD)
        pool, reason = [part for part in lines if part.rank == best], "the highest line"
    else:
        pool, reason = lines, "the lowest line, mostly below C4"
    chosen = _chosen(pool, role, rule)
    if role == "bass" and not (rule or claiming):
        chosen = [part for part in chosen if (part.notes["pitch"] < MIDDLE_C).mean() > 0.5]
    for part in chosen:
        given = replace(part, role=role, claim=role, reason=reason or part.reason)
        parts = [given if other is part else other for other in parts]
    for part in claiming:
        left = replace(part, reason=f"{part.reason}, but another {role} is chosen")
        parts = [left if other is part else other for other in parts]
    return parts


def _chosen(pool: list[Part], role: str, rule: Rule | None) -> list[Part]:
    """Those of the pool that have the role: all that rules name, or else one."""
    by_rule = [part for part in pool if part.by_rule]
    if by_rule or len(pool) < 2 or (rule and rule.key == "all"):
        return by_rule or pool
    is_low = rule.key == "lowest" if rule else role == "bass"
    return [(min if is_low else max)(pool, key=lambda part: part.height)]
