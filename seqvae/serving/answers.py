"""What visitors see of results: clips to hear in a frame, sentences, or how odd an input is."""

import html
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seqvae.inference.outputs import output_names
from seqvae.inference.surprise import Part
from seqvae.inference.trained import Score, least_likely_first
from seqvae.pages.player import player_page
from seqvae.serving.desk import Desk
from seqvae.tokenizers.contract import MusicTokenizer


def answer(desk: Desk, verb: str, inputs: Sequence[Any], results: list[Any], folder: Path) -> Any:
    """Results as the outputs of a verb's tab take them; files go to a folder within `folder`."""
    if verb == "score":
        names = [Path(each).name if desk.is_music else str(each) for each in inputs]
        ranked = least_likely_first(results, names)
        return rows_of(ranked), surprises(ranked, apart=desk.is_music)
    tokenizer = desk.vae.tokenizer
    if tokenizer.modality == "text":
        return sentences(results)
    files = written(results, new_folder(folder), output_names(verb, inputs, len(results)))
    return frame(tokenizer, files, verb), [str(file) for file in files]


def sentences(results: Sequence[str]) -> str:
    """Texts, one a line."""
    return "\n".join(" ".join(result.splitlines()) for result in results)


def new_folder(folder: Path) -> Path:
    """A folder of its own for the files of one request."""
    place = folder / f"out_{uuid.uuid4().hex}"
    place.mkdir()
    return place


def written(clips: list[Any], place: Path, names: Sequence[str]) -> list[Path]:
    """The MIDI files of clips."""
    from seqvae.music.midi import write_clips

    return write_clips(clips, place, names)


def frame(tokenizer: MusicTokenizer, files: Sequence[Path], what: str) -> str:
    """HTML: a page of clips to play, which can do nothing to the page around it."""
    names = [f"{what} {number}" for number in range(1, len(files) + 1)]
    page = html.escape(player_page(tokenizer, files, names))
    return (
        '<iframe class="clips" title="Clips" sandbox="allow-scripts allow-downloads" '
        f'srcdoc="{page}"></iframe>'
    )


def rows_of(ranked: Sequence[tuple[Score, str]]) -> list[list[Any]]:
    """A row for each input: its name, nats per event and per step."""
    return [[name, round(nats.per_event, 4), round(nats.per_step, 4)] for nats, name in ranked]


def surprises(ranked: Sequence[tuple[Score, str]], *, apart: bool) -> str:
    """HTML: the tokens of each input, or its beats, with their nats; the oddest span is marked."""
    return "".join(
        f'<section class="surprise"><h3>{html.escape(name)}</h3>'
        f"<p>{spans(nats.parts, apart=apart)}</p></section>"
        for nats, name in ranked
        if nats.parts
    )


def spans(parts: Sequence[Part], *, apart: bool) -> str:
    """HTML: parts with their nats as ruby text; those with more are darker.

    Tokens have the spaces of the text between them; beats stand `apart`.
    """
    most = max(max(part.nats for part in parts), 1e-9)
    pieces = []
    for number, part in enumerate(parts):
        share = round(100 * min(max(part.nats / most, 0), 1))
        text = html.escape(part.text.strip()) or "&blank;"
        space = " " if apart or part.text.startswith(" ") else ""
        ruby = f'{space}<ruby style="--odd: {share}%">{text}<rt>{part.nats:.1f}</rt></ruby>'
        begins = part.is_odd and not (number and parts[number - 1].is_odd)
        ends = part.is_odd and not (number + 1 < len(parts) and parts[number + 1].is_odd)
        pieces.append(f"{'<mark>' * begins}{ruby}{'</mark>' * ends}")
    return "".join(pieces)
