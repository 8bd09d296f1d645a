"""Melody, bass and drums together on a bar grid: MusicVAE's trio (Roberts et al. 2018).

Channel 0 is a melody and channel 1 a bass, both in the events of `melody`; channel 2 is a kit in
the sets of `drums`. A track is a melody where its program is 0-31 and a bass where it is 32-39, and
all drum tracks are one kit. A piece with several melodies or basses gives every pair of them.

Axes: N windows, T steps, C = 3 channels.
"""

import itertools
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from seqvae.music.notes import Notes, Piece, sort_notes
from seqvae.tokenizers.contract import Example, Ids
from seqvae.tokenizers.drums import NUM_CLASSES, kit_notes, kit_roll, kit_symbols, kits_of
from seqvae.tokenizers.grid import Roll
from seqvae.tokenizers.melody import (
    LineTokenizer,
    line_notes,
    line_roll,
    line_symbols,
    lines_of,
    transposed,
    transpositions,
)
from seqvae.tokenizers.windows import Part

MELODY_PROGRAMS, BASS_PROGRAMS = range(32), range(32, 40)
WRITTEN_BASS = 33  # electric bass, fingered


@dataclass(frozen=True, kw_only=True)
class TrioTokenizer(LineTokenizer):
    """Three voices; a window to train on needs all of them."""

    kind: ClassVar[str] = "trio"

    num_bars: int = 16
    """Bars of a window."""
    gap_bars: float = 2.0
    """Training leaves out windows in which a voice rests this many bars or more; 0 leaves none."""
    mix_share: float = 0.5
    """Share of the training windows that take voices of some bars from another window."""

    def __post_init__(self) -> None:
        """Refuse settings that make no sense."""
        super().__post_init__()
        self._share("mix_share")

    @property
    def channels(self) -> tuple[str, str, str]:
        """Names of the channels."""
        return "melody", "bass", "drums"

    @property
    def vocab_sizes(self) -> tuple[int, int, int]:
        """Events of the melody, of the bass; sets of drums."""
        return self.num_events, self.num_events, 2**NUM_CLASSES

    @property
    def num_members(self) -> tuple[int, int, int]:
        """The hits are subsets of the classes."""
        return 0, 0, NUM_CLASSES

    def _voices(
        self, notes: Notes, dropped: Counter[str]
    ) -> tuple[list[Notes], list[Notes], list[Notes]]:
        """All melodies, all basses, and the kit if there is one."""
        kits = kits_of(notes, dropped)
        melodies, basses = [], []
        for line in lines_of(notes[~notes["is_drum"]], self.max_chord_share, dropped):
            if line["program"][0] in MELODY_PROGRAMS:
                melodies.append(line)
            elif line["program"][0] in BASS_PROGRAMS:
                basses.append(line)
            else:
                dropped["a track that is neither melody nor bass by its program"] += 1
        for name, found in (("melody", melodies), ("bass", basses)):
            if len(notes) and not found:
                dropped[f"no {name} track"] += 1
        return melodies, basses, kits

    def _parts(self, notes: Notes, dropped: Counter[str]) -> list[Part]:
        """Every melody with every bass, and the kit."""
        return list(itertools.product(*self._voices(notes, dropped)))

    def _main(self, notes: Notes, dropped: Counter[str]) -> Part | None:
        """The highest melody, the lowest bass and the kit; of a clip one of them is enough."""
        melodies, basses, kits = self._voices(notes, dropped)
        if len(notes) and not (melodies or basses or kits):
            return None
        silence = notes[:0]
        return (
            max(melodies, key=lambda line: line["pitch"].mean(), default=silence),
            min(basses, key=lambda line: line["pitch"].mean(), default=silence),
            kits[0] if kits else silence,
        )

    def _rolls(self, part: Part, starts: NDArray[np.int64], end_step: int) -> list[Roll]:
        """Three voices."""
        melody, bass, kit = part
        return [
            *(
                line_roll(line, starts, self.max_steps, end_step, self.min_pitch, self.max_pitch)
                for line in (melody, bass)
            ),
            kit_roll(kit, starts, self.max_steps, end_step),
        ]

    def decode(self, example: Example) -> Piece:
        """The notes of a window, a track a voice."""
        melody, bass, kit = example.ids[:, :3].T
        notes = [
            line_notes(melody, self.min_pitch, program=example.program, track=0),
            line_notes(bass, self.min_pitch, program=WRITTEN_BASS, track=1),
            kit_notes(kit, track=2),
        ]
        return self._piece(sort_notes(np.concatenate(notes)), example)

    def show(self, ids: Ids) -> str:
        """The three voices one after the other, `//` between them."""
        melody, bass, kit = ids[:, :3].T
        voices = [line_symbols(line, self.min_pitch) for line in (melody, bass)]
        return " // ".join(self._in_quarters(voice) for voice in (*voices, kit_symbols(kit)))

    def augment(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Transpose melody and bass of each window (N, T, 3 + K) by one interval."""
        lines = ids[..., :2]
        semitones = transpositions(lines, self.vocab_sizes[0], self.max_transpose, rng)
        columns = [transposed(lines, semitones), ids[..., 2:3]]
        return np.concatenate([*columns, self._transposed_chords(ids, semitones)], axis=2)

    def mix(self, ids: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Windows (N, T, 3 + K) of which a share has voices of some bars from another.

        Where there are chords, only the kits: melody and bass belong to them.
        """
        taken = self._taken_steps(len(ids), 3, self.mix_share, rng)
        if self.chords:
            taken[..., :2] = False
        mixed, other = ids.copy(), ids[rng.permutation(len(ids))]
        mixed[..., :3] = np.where(taken, other[..., :3], ids[..., :3])
        return mixed
