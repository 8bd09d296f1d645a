"""How near `seqvae humanise` comes to drummers that its model has not heard.

    python scripts/benchmark_humanise.py humanize_2bar --groove groove

Beats of the test split of the Groove MIDI Dataset are made stiff: every hit on its sixteenth, and
as loud as the next. The model plays them, and the row in results/humanise.json says how far
loudness (in MIDI velocity) and timing (in milliseconds) are from what the drummer played. Beside it
stand two constant answers of the training split: the mean of each drum class, and that of each
class at each sixteenth of the bar. Hits that are alone of their class at a sixteenth count.
`--table` prints the table of results.
"""

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from benchmarking import Row, markdown, measured_row, write_row
from numpy.typing import NDArray
from pretty_midi import PrettyMIDI

from seqvae.errors import InputError
from seqvae.inference.trained import TrainedVAE
from seqvae.tokenizers.kits import CLASS_OF, NUM_CLASSES

RESULTS = Path(__file__).parent / "results" / "humanise.json"
STEPS_PER_BAR, STIFF_VELOCITY = 16, 80
WAYS = {"model": "the model", "of_drums": "drum class", "of_steps": "class and sixteenth"}

Hits = dict[tuple[int, int], tuple[float, float]]
"""By sixteenth and drum class: MIDI velocity, and milliseconds after the sixteenth."""


def files_of(groove: Path, split: str) -> list[Path]:
    """The beats in 4/4 of a split; fills are left out."""
    with (groove / "info.csv").open(encoding="utf-8", newline="") as table:
        return [
            groove / row["midi_filename"]
            for row in csv.DictReader(table)
            if (row["split"], row["beat_type"], row["time_signature"]) == (split, "beat", "4-4")
        ]


def sixteenth_of(song: PrettyMIDI) -> float:
    """The seconds of a sixteenth; each file has one tempo."""
    return float(15 / song.get_tempo_changes()[1][0])


def hits_of(song: PrettyMIDI) -> Hits:
    """What a drummer plays, without hits that have company of their class at a sixteenth."""
    sixteenth, found, crowded = sixteenth_of(song), Hits(), set[tuple[int, int]]()
    for note in (note for drums in song.instruments for note in drums.notes):
        step = round(note.start / sixteenth)
        place = step, int(CLASS_OF[note.pitch])
        if place in found:
            crowded.add(place)
        found[place] = note.velocity, 1000 * (note.start - step * sixteenth)
    return {place: hit for place, hit in found.items() if place[1] >= 0 and place not in crowded}


def make_stiff(song: PrettyMIDI) -> None:
    """Put every hit on its sixteenth, as loud as the next."""
    sixteenth = sixteenth_of(song)
    for note in (note for drums in song.instruments for note in drums.notes):
        moved = round(note.start / sixteenth) * sixteenth - note.start
        note.start, note.end = note.start + moved, note.end + moved
        note.velocity = STIFF_VELOCITY


def means_of(files: Sequence[Path]) -> NDArray[np.float64]:
    """Mean velocity and time by sixteenth of the bar and drum class, or of the class: (17, 9, 2).

    The last row holds the means of the classes, which also stand where a class is never struck.
    """
    sums, counts = np.zeros((STEPS_PER_BAR, NUM_CLASSES, 2)), np.zeros((STEPS_PER_BAR, NUM_CLASSES))
    for file in files:
        for (step, drum), hit in hits_of(PrettyMIDI(str(file))).items():
            sums[step % STEPS_PER_BAR, drum] += hit
            counts[step % STEPS_PER_BAR, drum] += 1
    of_drums = sums.sum(0) / np.maximum(counts.sum(0), 1)[:, None]
    of_steps = np.where(counts[..., None] > 0, sums / np.maximum(counts, 1)[..., None], of_drums)
    return np.concatenate([of_steps, of_drums[None]])


def measure(vae: TrainedVAE, groove: Path) -> Row:
    """Mean errors of the model and of the constant answers, on the same hits."""
    files, means = files_of(groove, "test"), means_of(files_of(groove, "train"))
    errors: dict[str, list[NDArray[np.float64]]] = {way: [] for way in WAYS}
    for file in files:
        song = PrettyMIDI(str(file))
        played = hits_of(song)
        make_stiff(song)
        (humanised,) = vae.humanise([song])
        answers = hits_of(humanised)
        for (step, drum), hit in played.items():
            if (step, drum) not in answers:
                continue
            ways = answers[step, drum], means[-1, drum], means[step % STEPS_PER_BAR, drum]
            for way, answer in zip(WAYS, ways, strict=True):
                errors[way].append(np.abs(np.subtract(answer, hit)))
    if not errors["model"]:
        raise InputError(f"{groove}: no beats in 4/4 of the test split")
    mean = {way: np.mean(found, axis=0).tolist() for way, found in errors.items()}
    return {
        "files": len(files),
        "hits": len(errors["model"]),
        "velocity_error": {way: round(velocity, 2) for way, (velocity, _) in mean.items()},
        "timing_error_ms": {way: round(late, 2) for way, (_, late) in mean.items()},
    }


def table(rows: Sequence[Row]) -> str:
    """A line for each row and figure."""
    figures = {"velocity_error": "loudness, of 127", "timing_error_ms": "timing, ms"}
    lines = [
        [f"`{row['name']}`", f"{row['hits']:,}", about, *(f"{row[key][way]:.1f}" for way in WAYS)]
        for row in rows
        for key, about in figures.items()
    ]
    return markdown(["model", "hits", "mean error", *WAYS.values()], lines)


def make_parser() -> argparse.ArgumentParser:
    """The script's flags."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("models", nargs="*", help="runs, or names of models that ship")
    parser.add_argument("--groove", type=Path, default=Path("groove"), help="folder of the dataset")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of the rows")
    parser.add_argument("--table", action="store_true", help="print the results as a table")
    return parser


def main() -> None:
    """Make a row of each model, or print the table."""
    options = make_parser().parse_args()
    if options.table:
        print(table(json.loads(options.results.read_text(encoding="utf-8"))))
        return
    try:
        for model in options.models:
            vae = TrainedVAE.load(model)
            row = measured_row(Path(model).name, 0, lambda vae=vae: measure(vae, options.groove))
            write_row(options.results, row, [])
            print(table([row]))
    except InputError as error:
        sys.exit(f"benchmark_humanise.py: {error}")


if __name__ == "__main__":
    main()
