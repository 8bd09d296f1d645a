"""The picture of README.md: an interpolation of data/examples as piano rolls, one beside the other.

    python scripts/rolls_picture.py

Goes to results/interpolation.png. The file carries a digest of the clips that it shows.
make_examples.py draws its samples with `draw_samples`.
"""

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import pretty_midi
from matplotlib.axes import Axes

CLIPS = Path(__file__).parents[1] / "data" / "examples" / "melody_2bar"
PICTURE = Path(__file__).parent / "results" / "interpolation.png"
DIGEST = "Clips"  # the key of the digest in the PNG file
COLUMNS = 4
BAR = 4  # beats
OCTAVE = 12


def clips_of(folder: Path) -> list[Path]:
    """The interpolation of a folder of examples, from start to end."""
    return sorted(folder.glob("interpolate_*.mid"))


def digest(clips: list[Path]) -> str:
    """The same for the same clips, whatever their names."""
    return hashlib.sha256(b"".join(clip.read_bytes() for clip in clips)).hexdigest()


def draw(clips: list[Path], picture: Path) -> None:
    """A panel per clip; colours go from that of the start to that of the end."""
    mpl.use("Agg")  # a file, never a window
    import matplotlib.pyplot as plt

    parsed = [pretty_midi.PrettyMIDI(str(clip)) for clip in clips]
    pitches = [note.pitch for clip in parsed for note in notes_of(clip)]
    figure, panels = plt.subplots(
        1, len(clips), figsize=(12, 2.6), sharey=True, layout="constrained"
    )
    colours = mpl.colormaps["plasma"]
    for number, (axes, clip) in enumerate(zip(panels, parsed, strict=True)):
        fraction = number / (len(clips) - 1)
        draw_roll(axes, clip, colours(0.75 * fraction))
        axes.set_title({0.0: "start", 1.0: "end"}.get(fraction, f"{fraction:.2f}"), fontsize=10)
        axes.set_ylim(min(pitches) - 2, max(pitches) + 2)
    panels[0].set_ylabel("pitch")
    panels[len(panels) // 2].set_xlabel("two bars of four beats")
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=140, metadata={DIGEST: digest(clips)})
    plt.close(figure)


def draw_samples(clips: Sequence[pretty_midi.PrettyMIDI], picture: Path) -> None:
    """Four panels a row; instruments have colours, and loud notes are dark."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    num_rows = -(-len(clips) // COLUMNS)
    figure, panels = plt.subplots(
        num_rows, COLUMNS, figsize=(12, 1.5 * num_rows), squeeze=False, layout="constrained"
    )
    end = max(beats(clip, clip.get_end_time()) for clip in clips)
    num_beats = -(-end // BAR) * BAR
    for axes in panels.flat:
        axes.set_axis_off()
    for axes, clip in zip(panels.flat, clips, strict=False):
        axes.set_axis_on()
        for number, instrument in enumerate(clip.instruments):
            for note in instrument.notes:
                start, length = beats(clip, note.start), beats(clip, note.end - note.start)
                axes.broken_barh(
                    [(start, max(length - 0.05, 0.1))], (note.pitch - 0.5, 1),
                    color=f"C{number}", alpha=0.3 + 0.7 * note.velocity / 127,
                )  # fmt: skip
        pitches = [note.pitch for note in notes_of(clip)] or [60]
        margin = max(OCTAVE - (max(pitches) - min(pitches)), 2) / 2
        axes.set_ylim(min(pitches) - margin, max(pitches) + margin)
        style(axes, num_beats)
    figure.savefig(picture, dpi=80)
    plt.close(figure)


def beats(clip: pretty_midi.PrettyMIDI, seconds: float) -> float:
    """Seconds in beats of the first tempo."""
    return float(seconds * clip.get_tempo_changes()[1][0] / 60)


def draw_roll(axes: Axes, clip: pretty_midi.PrettyMIDI, colour: tuple[float, ...]) -> None:
    """Notes as bars over beats, with a line at each beat."""
    for note in notes_of(clip):
        start, end = beats(clip, note.start), beats(clip, note.end)
        axes.broken_barh([(start + 0.03, end - start - 0.06)], (note.pitch - 0.5, 1), color=colour)
    style(axes, 2 * BAR)


def style(axes: Axes, num_beats: float) -> None:
    """Lines at beats and bars, and nothing else around the notes."""
    axes.set_xlim(0, num_beats)
    axes.set_xticks(range(int(num_beats) + 1), [])
    axes.set_yticks([])
    axes.tick_params(length=0)
    axes.grid(axis="x", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    for bar in range(BAR, int(num_beats), BAR):
        axes.axvline(bar, color="0.7", linewidth=0.8)
    for side in axes.spines.values():
        side.set_color("0.8")


def notes_of(clip: pretty_midi.PrettyMIDI) -> list[pretty_midi.Note]:
    """The notes of all instruments."""
    return [note for instrument in clip.instruments for note in instrument.notes]


def main() -> None:
    """Draw the clips of a folder: by default those of melody_2bar."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else CLIPS
    picture = Path(sys.argv[2]) if len(sys.argv) > 2 else PICTURE
    clips = clips_of(folder)
    if len(clips) < 2:
        sys.exit(f"{folder}: no interpolate_*.mid; make them with scripts/make_examples.py")
    draw(clips, picture)
    print(picture)


if __name__ == "__main__":
    main()
