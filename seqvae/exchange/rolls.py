"""Clips, each a `pretty_midi.PrettyMIDI`, as piano rolls in one picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seqvae.errors import InputError
from seqvae.hub import INSTALL

COLUMNS = 4  # of a picture of samples
BAR = 4  # beats
OCTAVE = 12  # semitones that a panel shows at least


def draw_interpolation(
    clips: Sequence[Any], picture: Path, metadata: dict[str, str] | None = None
) -> None:
    """A panel per clip; colours go from that of the start to that of the end.

    Raises:
        InputError: matplotlib is not installed.
    """
    plt = _pyplot()
    pitches = [note.pitch for clip in clips for note in notes_of(clip)]
    figure, panels = plt.subplots(
        1, len(clips), figsize=(12, 2.6), sharey=True, layout="constrained"
    )
    colours = plt.get_cmap("plasma")
    for number, (axes, clip) in enumerate(zip(panels, clips, strict=True)):
        fraction = number / (len(clips) - 1)
        for note in notes_of(clip):
            start, end = beats(clip, note.start), beats(clip, note.end)
            axes.broken_barh(
                [(start + 0.03, end - start - 0.06)], (note.pitch - 0.5, 1),
                color=colours(0.75 * fraction),
            )  # fmt: skip
        _style(axes, 2 * BAR)
        axes.set_title({0.0: "start", 1.0: "end"}.get(fraction, f"{fraction:.2f}"), fontsize=10)
        axes.set_ylim(min(pitches) - 2, max(pitches) + 2)
    panels[0].set_ylabel("pitch")
    panels[len(panels) // 2].set_xlabel("two bars of four beats")
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=140, metadata=metadata)
    plt.close(figure)


def draw_samples(clips: Sequence[Any], picture: Path) -> None:
    """Four panels a row; instruments have colours, and loud notes are dark.

    Raises:
        InputError: matplotlib is not installed.
    """
    plt = _pyplot()
    num_rows = -(-len(clips) // COLUMNS)
    figure, panels = plt.subplots(
        num_rows, COLUMNS, figsize=(12, 1.5 * num_rows), squeeze=False, layout="constrained"
    )
    end = max(beats(clip, clip.get_end_time()) for clip in clips)
    num_beats = -(-end // BAR) * BAR or BAR
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
        _style(axes, num_beats)
    figure.savefig(picture, dpi=80)
    plt.close(figure)


def notes_of(clip: Any) -> list[Any]:
    """The notes of all instruments."""
    return [note for instrument in clip.instruments for note in instrument.notes]


def beats(clip: Any, seconds: float) -> float:
    """Seconds in beats of the first tempo."""
    return float(seconds * clip.get_tempo_changes()[1][0] / 60)


def _pyplot() -> Any:
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise InputError(f"pictures need matplotlib; {INSTALL}") from error
    mpl.use("Agg")  # a file, never a window
    import matplotlib.pyplot as plt

    return plt


def _style(axes: Any, num_beats: float) -> None:
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
