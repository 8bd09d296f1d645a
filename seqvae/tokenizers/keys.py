"""In which key a representation reads pieces: as they are written, or all in a common one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqvae.errors import InputError, at_least, one_of
from seqvae.music.keys import NUM_PITCHES, in_common_key, parse_key
from seqvae.music.notes import Key, Piece
from seqvae.tokenizers.contract import MusicTokenizer
from seqvae.tokenizers.tracks import TrackSettings

AS_WRITTEN, NORMALISED = "as_written", "normalised"
MAX_TRANSPOSE = 5  # of pieces in the keys that they are written in


@dataclass(frozen=True, kw_only=True)
class KeySettings(TrackSettings):
    """Keys of pieces with pitches. `extract` and `encode` read `in_common_key(piece)`."""

    keys: str = AS_WRITTEN
    """`normalised`: every piece is moved to C major or A minor, the nearest way, and what is made
    of a clip is moved back. `as_written`: no piece is moved."""
    max_transpose: int | None = None
    """Training transposes each window at random by up to this many semitones; drums stay. By
    default 5, and 0 where keys are normalised."""

    def check_keys(self) -> None:
        """Refuse impossible settings."""
        section = f"{self.kind}: "
        one_of(self, "keys", (AS_WRITTEN, NORMALISED), section=section)
        if self.max_transpose is not None:
            at_least(self, 0, "max_transpose", section=section)

    @property
    def normalises_keys(self) -> bool:
        """Whether all pieces are read in a common key."""
        return self.keys == NORMALISED

    @property
    def transposes_by(self) -> int:
        """Semitones by which training transposes at most."""
        if self.max_transpose is not None:
            return self.max_transpose
        return 0 if self.normalises_keys else MAX_TRANSPOSE

    @property
    def pitches(self) -> range:
        """The MIDI pitches that there are tokens for."""
        return range(NUM_PITCHES)

    def tokens_within(self, pitches: NDArray[np.bool_]) -> dict[int, NDArray[np.bool_]]:
        """Of each channel that writes pitches, which tokens write none or one of these (128,).

        Raises:
            InputError: a pitch of the tokens may be a drum.
        """
        raise NotImplementedError

    def in_common_key(self, piece: Piece, key: Key | None = None) -> Piece:
        """A piece as it is read, from `key` or the one that is found in it.

        The piece says by how much it was moved, and its windows say so too.
        """
        if not self.normalises_keys or piece.moved is not None:
            return piece
        kits = [part.number for part in self.parts(piece) if part.role == "drums"]
        return in_common_key(piece, key, pitches=self.pitches, kits=kits)


def in_said_key(tokenizer: MusicTokenizer, piece: Piece, name: str | None) -> Piece:
    """A piece as a tokenizer reads it from a key that the user names; as it is where none is named.

    Raises:
        InputError: the name is none of a key, or the tokenizer reads pieces as they are written.
    """
    if name is None:
        return piece
    key = parse_key(name)
    if not (isinstance(tokenizer, KeySettings) and tokenizer.normalises_keys):
        raise InputError(f"input_key is {name!r}; this model reads every clip as it is written")
    return tokenizer.in_common_key(piece, key)
