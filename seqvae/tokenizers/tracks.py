"""Which tracks of a piece a representation takes: the same in training and of a clip."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from seqvae.errors import InputError
from seqvae.music.notes import Piece
from seqvae.music.roles import MAX_CHORD_SHARE, Part, parts_of
from seqvae.music.track_rules import PICKS, ROLES, Rule, as_rules, parse_rules
from seqvae.reasons import Dropped, Reason, in_words
from seqvae.tokenizers.contract import MusicTokenizer

logger = logging.getLogger(__name__)

FLAG = "--data.tracks"
NOT_TAKEN = {
    "drums": Reason("track", "drums", FLAG),
    "chords": Reason("track", "mostly chords", "--data.tokenizer.max_chord_share"),
    "none": Reason("track", "left out by a rule"),
    "line": Reason("track", "another line", f"{FLAG} 'melody: all'"),
}
NOT_DRUMS = Reason("track", "not drums", FLAG)
MAX_NAMED = 3  # tracks in one message
TAKES = {  # models that ship, by the role of a track that others do not take
    "drums": "a model of drums, such as drums_2bar, takes drums",
    "chords": "a polyphonic model, such as piano_2bar, takes chords",
}


@dataclass(frozen=True, kw_only=True)
class TrackSettings:
    """Which tracks are what."""

    kind: ClassVar[str]
    roles: ClassVar[tuple[str, ...]] = ()
    """Those of the tracks that are taken; if it is empty, all are but those of the role none."""

    tracks: tuple[str, ...] = ()
    """Rules for which tracks are what, such as 'drums: name=drum*' or 'melody: all'; the flag
    --data.tracks sets it."""

    def check_tracks(self) -> None:
        """Refuse what is no rule."""
        parse_rules(self.tracks)

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The rules, parsed."""
        return parse_rules(self.tracks)

    def parts(self, piece: Piece) -> tuple[Part, ...]:
        """All tracks of a piece with their roles."""
        return parts_of(piece, self.roles, self.rules, self._max_chord_share)

    @property
    def _max_chord_share(self) -> float:
        return MAX_CHORD_SHARE

    def takes(self, part: Part) -> bool:
        """Whether a track of this role is taken."""
        return part.role in self.roles if self.roles else part.role != "none"

    def count_left_out(self, parts: Sequence[Part], dropped: Dropped) -> None:
        """Add the tracks that are not taken to what was left out."""
        for part in parts:
            if not self.takes(part):
                only_drums = self.roles == ("drums",) and part.role != "none"
                dropped[NOT_DRUMS if only_drums else NOT_TAKEN[part.role]] += 1

    def warn_of_rest(
        self, piece: Piece, parts: Sequence[Part], taken: Sequence[Part], notes: Dropped
    ) -> None:
        """Say in one line what of a clip is not heard: other tracks, and notes of those taken."""
        rest = [part for part in parts if not any(part is one for one in taken)]
        said = []
        if rest:
            said.append(f"{named(rest)}; --tracks says which track is what")
        if lost := Dropped({reason: n for reason, n in notes.items() if reason.unit == "note"}):
            said.append(in_words(lost))
        if said:
            logger.warning("%s: not heard: %s", piece.name[:60] or "the clip", "; ".join(said))

    def nothing_taken(self, parts: Sequence[Part], notes: Dropped) -> InputError:
        """The error of a clip that has notes, but none for this representation."""
        if any(map(self.takes, parts)):
            return InputError(f"no {self.kind} in it: {in_words(notes)}")
        nearest = next((part for part in parts if part.role != "drums"), parts[0])
        said = [f"no {self.kind} in it: {named(parts)}", *filter(None, [TAKES.get(nearest.role)])]
        if not nearest.notes["is_drum"].any():  # whose pitches make no line
            role, number = self.roles[0], nearest.number + 1
            rule = f"{role if role in ROLES else 'melody'}: track={number}"
            said.append(f"--tracks '{rule}' takes track {number} for it")
        return InputError("; ".join(said))


def with_tracks(tokenizer: MusicTokenizer, rules: str | None) -> MusicTokenizer:
    """A tokenizer that hears tracks by other rules; the same where there are none.

    Raises:
        InputError: it takes all tracks alike, or a rule is none.
    """
    if rules is None:
        return tokenizer
    if not isinstance(tokenizer, TrackSettings):
        raise InputError(f"tracks is {rules!r}; a model of {tokenizer.kind} takes all tracks alike")
    return tokenizer.from_json({**tokenizer.to_json(), "tracks": as_rules(rules)})


def warn_of_unused_rules(tokenizer: MusicTokenizer, piece: Piece, name: str) -> None:
    """Say of which rules no track of a clip is meant: they may be misspelt."""
    assert isinstance(tokenizer, TrackSettings)
    for rule in tokenizer.rules:
        if rule.key in PICKS or rule.key == "file":
            continue
        if not any(rule.fits(n, track, piece.name) for n, track in enumerate(piece.tracks)):
            logger.warning(
                "%s: no track fits '%s'; seqvae look shows the tracks of a file", name, rule
            )


def named(parts: Sequence[Part]) -> str:
    """Tracks as a message names them: by number, name, role and reason."""
    words = [
        f"track {part.number + 1}{f' {part.track.name[:20]!r}' if part.track.name else ''} "
        f"({part.role}{f': {part.reason[:40]}' if part.reason else ''})"
        for part in parts[:MAX_NAMED]
    ]
    if len(parts) > MAX_NAMED:
        words.append(f"{len(parts) - MAX_NAMED} more")
    return ", ".join(words)
