"""Generate the default melodies: short songs of our own composition, one MIDI file each.

A tune has four phrases in a form such as AABA. A phrase has a rhythm made of the tune's motifs,
four chords and a cadence. Its pitches are drawn together from a Gibbs distribution whose energy
states the rules: chord notes on strong beats, mostly steps, leaps recovered, an arc to follow.

Time is in sixteenth steps. Pitch is a scale degree: 0 is the tonic, 7 the tonic an octave above.
Energies are in nats. Axes: N notes of a phrase, D degrees of the tune's range.

    python data/tunes.py FOLDER [--num_tunes N] [--seed S]
"""

import argparse
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pretty_midi
from numpy.typing import NDArray

Ending = Literal["half", "full", "final"]

TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
}
# Roots (degrees) of the first three chords of a phrase; a full cadence replaces the third.
OPENINGS = {
    "major": ((0, 3, 0), (0, 5, 3), (0, 5, 1), (0, 3, 1), (5, 3, 0), (3, 0, 1)),
    "minor": ((0, 3, 0), (0, 5, 2), (0, 6, 5), (0, 2, 6), (5, 2, 3), (3, 0, 5)),
    "dorian": ((0, 3, 0), (0, 6, 3), (0, 2, 3), (2, 3, 0), (3, 0, 6)),
    "mixolydian": ((0, 6, 3), (0, 3, 6), (0, 6, 0), (3, 0, 6), (6, 3, 0)),
}
# Before the tonic: where the mode has no leading note, its seventh chord serves as well.
PENULTIMATES = {"major": (4,), "minor": (4, 6), "dorian": (4, 6), "mixolydian": (4, 6)}
FORMS = ("AABA", "ABAB", "AABB", "ABAC")
ENDING_BY_PHRASE: tuple[Ending, ...] = ("half", "full", "half", "final")

CELL_STEPS = 8  # the length of a motif: half a bar of 4/4, a bar of 2/4
# Rhythms of motifs by family: x is an onset, - holds it, . is silence.
RHYTHMS = {
    "plain": ("x---x---", "x-x-x---", "x---x-x-", "x-x-x-x-", "x-x-x-.."),
    "dotted": ("x--xx---", "x-----x-", "x--xx-x-", "x--xx--x", "x---x--x"),
    "syncopated": ("x--x--x-", "x-x---x-", "x---x-x-", "x-x-x-..", "..x-x-x-"),
    "running": ("x-x-xxxx", "x-xxx-x-", "x-x-x-x-", "x---x-xx", "xxx-x---"),
}
ORDERS = ("abab", "aaba", "abac", "aabc", "abca")  # of the motifs in four cells
CADENCES: dict[Ending, tuple[str, ...]] = {
    "half": ("x-----..", "x---x---", "x---x-..", "x-x-x---"),
    "full": ("x-----..", "x-------", "x---x-.."),
    "final": ("x-------", "x---------------", "x-----------...."),
}
# Degrees, of any octave, for the last note of a phrase.
GOALS: dict[Ending, tuple[int, ...]] = {"half": (4, 1), "full": (0, 2), "final": (0,)}
# By the size of a move in degrees; the last holds for all that is larger.
MOVE_COST = np.array([1.3, 0.0, 1.0, 2.2, 2.7, 5.0, 9.0, 6.0, 12.0])
FORBIDDEN = 100.0


@dataclass(frozen=True)
class Key:
    """A mode on a tonic (the MIDI pitch of degree 0), and the degrees that are sung."""

    tonic: int
    mode: str
    degrees: range

    def pitch(self, degree: int) -> int:
        """The MIDI pitch of a degree."""
        octave, step = divmod(degree, 7)
        return self.tonic + 12 * octave + SCALES[self.mode][step]


@dataclass(frozen=True)
class Motif:
    """A rhythm of one cell, and the moves in degrees that its notes like to make."""

    rhythm: str
    moves: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """A phrase before it has notes; the cadence takes the place of its last motifs."""

    motifs: tuple[Motif, ...]
    arc: tuple[float, float]
    """The degrees about which it begins and culminates."""
    chords: tuple[int, ...]
    """Four roots of equal length."""
    ending: Ending = "half"
    cadence: str = ""


@dataclass(frozen=True)
class Place:
    """A note without its degree. Repeats of a phrase keep the degree where places are equal."""

    start_step: int
    end_step: int
    chord: int
    goals: tuple[int, ...]
    """The degrees, of any octave, that alone may be taken; empty for all."""
    target: float = field(compare=False)
    """The degree at which the arc stands."""
    move: int | None = field(compare=False)
    """The move from the note before that the motif likes."""


@dataclass(frozen=True)
class Note:
    """A note of a tune."""

    start_step: int
    end_step: int
    degree: int


def write_tunes(folder: Path, *, num_tunes: int = 400, seed: int = 0) -> None:
    """Write tune_0000.mid and so on; no two are the same melody, even in different keys.

    The name of the track is the key, such as `D dorian`. Files of the same name are replaced.
    A larger `num_tunes` adds tunes and leaves the first as they are.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    melodies: set[tuple[Note, ...]] = set()
    while len(melodies) < num_tunes:
        num_quarters = 4 if rng.random() < 0.8 else 2
        key = draw_key(rng)
        melody = draw_melody(key, num_quarters, rng)
        qpm = int(rng.integers(80, 141))
        if melody not in melodies:
            song = to_pretty_midi(melody, key, num_quarters, qpm)
            song.write(str(folder / f"tune_{len(melodies):04d}.mid"))
            melodies.add(melody)


def draw_key(rng: np.random.Generator) -> Key:
    """Draw a key; the range lies around the tonic or above it, within MIDI 55 to 84."""
    mode = str(rng.choice(list(SCALES), p=[0.4, 0.25, 0.2, 0.15]))
    if rng.random() < 0.5:
        return Key(int(rng.integers(60, 72)), mode, range(-3, 6))
    return Key(int(rng.integers(58, 70)), mode, range(-1, 9))


def draw_melody(key: Key, num_quarters: int, rng: np.random.Generator) -> tuple[Note, ...]:
    """Draw a tune in bars of so many quarters, phrase by phrase."""
    # Eight bars of 2/4 would leave a phrase no room for more than its cadence.
    num_bars = int(rng.choice([8, 16])) if num_quarters == 4 else 16
    phrase_steps = num_bars * num_quarters  # a quarter of the tune, four steps a quarter note
    motifs = draw_motifs(rng)
    plans: dict[str, Plan] = {}
    known: dict[str, dict[Place, int]] = {}
    notes: list[Note] = []
    for index, letter in enumerate(str(rng.choice(FORMS))):
        ending = ENDING_BY_PHRASE[index]
        if letter in plans:
            plan = vary(plans[letter], motifs, rng)
        else:
            plan = draw_plan(letter, motifs, phrase_steps // CELL_STEPS, key, rng)
        plan = plans[letter] = close(plan, ending, key, rng)
        places = lay_out(plan)
        degrees = draw_degrees(places, known.get(letter, {}), key, rng)
        known[letter] = dict(zip(places, degrees, strict=True))
        offset = index * phrase_steps
        for place, degree in known[letter].items():
            notes.append(Note(place.start_step + offset, place.end_step + offset, degree))
    return tuple(notes)


def draw_motifs(rng: np.random.Generator) -> tuple[Motif, ...]:
    """Draw three motifs of one family."""
    family = RHYTHMS[str(rng.choice(list(RHYTHMS)))]
    motifs = []
    for rhythm in rng.choice(family, 3, replace=False).tolist():
        num_moves = rhythm.count("x") - 1
        moves = rng.choice([1, -1, 2, -2, 0], num_moves, p=[0.34, 0.34, 0.12, 0.12, 0.08])
        motifs.append(Motif(rhythm, tuple(moves.tolist())))
    return tuple(motifs)


def draw_plan(
    letter: str, motifs: tuple[Motif, ...], num_cells: int, key: Key, rng: np.random.Generator
) -> Plan:
    """Plan a new phrase; A begins on the tonic chord, and each letter leads with its own motif."""
    turn = "ABC".index(letter)
    order = "".join(rng.choice(ORDERS, num_cells // 4).tolist())
    openings = [chords for chords in OPENINGS[key.mode] if letter != "A" or chords[0] == 0]
    chords = openings[int(rng.integers(len(openings)))]
    start = rng.choice([0, 2, 4] if letter == "A" else [2, 3, 4, 5])
    peak = rng.uniform(4.0, key.degrees[-1])
    return Plan(
        motifs=tuple(motifs[("abc".index(name) + turn) % 3] for name in order),
        arc=(float(start), float(peak)),
        chords=(*chords, 4),
    )


def vary(plan: Plan, motifs: tuple[Motif, ...], rng: np.random.Generator) -> Plan:
    """Exchange one inner motif, or none."""
    if rng.random() < 0.5:
        return plan
    changed = list(plan.motifs)
    changed[int(rng.integers(1, len(changed) - 1))] = motifs[int(rng.integers(len(motifs)))]
    return replace(plan, motifs=tuple(changed))


def close(plan: Plan, ending: Ending, key: Key, rng: np.random.Generator) -> Plan:
    """Give a plan the cadence of an ending, unless it has it already."""
    if plan.ending == ending and plan.cadence:
        return plan
    longest = len(plan.motifs) * CELL_STEPS // 4  # the last chord
    cadence = str(rng.choice([c for c in CADENCES[ending] if len(c) <= longest]))
    penultimate = int(rng.choice(PENULTIMATES[key.mode]))
    chords = plan.chords if ending == "half" else (*plan.chords[:2], penultimate, 0)
    return replace(plan, chords=chords, ending=ending, cadence=cadence)


def lay_out(plan: Plan) -> list[Place]:
    """The notes of a planned phrase in time, each with its chord and its point on the arc."""
    num_steps = len(plan.motifs) * CELL_STEPS
    body_steps = num_steps - len(plan.cadence)
    rhythm = "".join(motif.rhythm for motif in plan.motifs)[:body_steps] + plan.cadence
    # The first note of a cell is free; so are all in the cadence.
    moves = [move for motif in plan.motifs for move in (None, *motif.moves)]
    onsets = [step for step, sign in enumerate(rhythm) if sign == "x"]
    goals = GOALS[plan.ending]
    arc = np.interp(onsets, [0, 0.6 * num_steps, onsets[-1]], [*plan.arc, sum(goals) / len(goals)])
    places = []
    for index, (step, target) in enumerate(zip(onsets, arc.tolist(), strict=True)):
        held = len(rhythm[step + 1 :]) - len(rhythm[step + 1 :].lstrip("-"))
        places.append(
            Place(
                start_step=step,
                end_step=step + 1 + held,
                chord=plan.chords[4 * step // num_steps],
                goals=goals if step == onsets[-1] else (),
                target=target,
                move=moves[index] if step < body_steps else None,
            )
        )
    return places


def draw_degrees(
    places: list[Place], known: dict[Place, int], key: Key, rng: np.random.Generator
) -> list[int]:
    """Draw all degrees of a phrase exactly: sum out from the end, then sample from the start."""
    log_weights = -energies(places, known, key)
    ahead = np.zeros(log_weights.shape[:3])  # of what follows a note, given it and the one before
    for n in range(len(places) - 2, -1, -1):
        ahead[n] = np.logaddexp.reduce(log_weights[n + 1] + ahead[n + 1], axis=-1)
    first = second = 0  # stand for notes before the phrase, on which no energy depends
    degrees = []
    for n in range(len(places)):
        logits = log_weights[n, first, second] + ahead[n, second]
        first, second = second, int(np.argmax(logits + rng.gumbel(size=len(logits))))
        degrees.append(key.degrees[second])
    return degrees


def energies(places: list[Place], known: dict[Place, int], key: Key) -> NDArray[np.float64]:
    """The energy of each note given the two before it: (N, D, D, D), the note itself last."""
    degrees = np.array(key.degrees)
    pitches = np.array([key.pitch(degree) for degree in key.degrees])
    leave = degrees - degrees[:, None]  # (D, D)
    arrive = leave[:, :, None]  # (D, D, 1)
    tritone = np.abs(pitches - pitches[:, None]) == 6
    motion = MOVE_COST[np.minimum(np.abs(leave), len(MOVE_COST) - 1)] + 4.0 * tritone
    recovered = (arrive * leave < 0) & (np.abs(leave) <= 2)
    turn = 3.0 * ((np.abs(arrive) >= 3) & ~recovered)
    turn += np.where(arrive == 0, 2.0, 0.8) * (leave == -arrive)  # standing still, going back
    passing = (np.abs(arrive) == 1) & (np.abs(leave) == 1)

    energy = np.zeros((len(places), *[len(degrees)] * 3))
    for n, place in enumerate(places):
        energy[n] += misfit(place, known.get(place), degrees)
        if n >= 1:
            energy[n] += motion if place.move is None else motion - 2.0 * (leave == place.move)
        if n >= 2:
            foreign = ~in_chord(degrees, places[n - 1].chord)[:, None]  # (D, 1)
            energy[n] += turn + 3.0 * (foreign & ~passing)
    energy[-1] += 2.5 * (np.abs(leave) >= 2)  # a cadence is approached by step
    return energy


def misfit(place: Place, degree: int | None, degrees: NDArray[np.int64]) -> NDArray[np.float64]:
    """What each degree costs at a place by itself, where one may be given: (D,)."""
    foreign = ~in_chord(degrees, place.chord)
    strong, beat = place.start_step % CELL_STEPS == 0, place.start_step % 4 == 0
    long = place.end_step - place.start_step >= 4
    energy = np.zeros(len(degrees))
    energy += 0.15 * (degrees - place.target) ** 2
    energy += foreign * ((6.0 if strong else 1.5 * beat) + 3.0 * long)
    if place.goals:
        energy += FORBIDDEN * ~np.isin(degrees % 7, place.goals)
    if degree is not None:
        energy += FORBIDDEN * (degrees != degree)
    return energy


def in_chord(degrees: NDArray[np.int64], root: int) -> NDArray[np.bool_]:
    """Whether degrees belong to the triad on a root."""
    return np.isin((degrees - root) % 7, (0, 2, 4))


def to_pretty_midi(
    melody: tuple[Note, ...], key: Key, num_quarters: int, qpm: int
) -> pretty_midi.PrettyMIDI:
    """Render a melody on the piano, with a light stress on the first note of a bar."""
    song = pretty_midi.PrettyMIDI(resolution=480, initial_tempo=qpm)
    song.time_signature_changes = [pretty_midi.TimeSignature(num_quarters, 4, 0.0)]
    piano = pretty_midi.Instrument(program=0, name=f"{TONICS[key.tonic % 12]} {key.mode}")
    seconds = 60 / qpm / 4  # of a step
    for note in melody:
        velocity = 92 if note.start_step % (4 * num_quarters) == 0 else 80
        start, end = note.start_step * seconds, note.end_step * seconds
        piano.notes.append(pretty_midi.Note(velocity, key.pitch(note.degree), start, end))
    song.instruments.append(piano)
    return song


def main() -> None:
    """Read the command line and write."""
    parser = argparse.ArgumentParser(description="Write the default melodies.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--num_tunes", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    write_tunes(args.folder, num_tunes=args.num_tunes, seed=args.seed)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
