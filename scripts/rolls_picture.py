"""The picture of README.md: an interpolation of data/examples as piano rolls, one beside the other.

    python scripts/rolls_picture.py

Goes to results/interpolation.png. The file carries a digest of the clips that it shows.
"""

import hashlib
import sys
from pathlib import Path

import matplotlib as mpl
import pretty_midi
from matplotlib.axes import Axes

CLIPS = Path(__file__).parents[1] / "data" / "examples" / "melody_2bar"
PICTURE = Path(__file__).parent / "results" / "interpolation.png"
DIGEST = "Clips"  # the key of the digest in the PNG file


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


def draw_roll(axes: Axes, clip: pretty_midi.PrettyMIDI, colour: tuple[float, ...]) -> None:
    """Notes as bars over beats, with a line at each beat."""
    seconds_per_beat = 60 / clip.get_tempo_changes()[1][0]
    for note in notes_of(clip):
        start, end = note.start / seconds_per_beat, note.end / seconds_per_beat
        axes.broken_barh([(start + 0.03, end - start - 0.06)], (note.pitch - 0.5, 1), color=colour)
    axes.set_xlim(0, 8)
    axes.set_xticks(range(9), [])
    axes.set_yticks([])
    axes.tick_params(length=0)
    axes.grid(axis="x", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.axvline(4, color="0.7", linewidth=0.8)  # the bar line
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
