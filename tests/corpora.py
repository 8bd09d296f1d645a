"""Small corpora: sources that are written, and what became of them."""

from pathlib import Path
from typing import Any

import numpy as np

from seqvae.corpus.config import DataConfig
from seqvae.corpus.prepare import prepare
from seqvae.corpus.store import SPLITS, Corpus, SourceRow
from seqvae.corpus.summary import left_out_of
from seqvae.music.midi import to_pretty_midi
from seqvae.music.notes import Metre, Piece, make_notes

MELODY = {"kind": "melody", "num_bars": 1}
WORDS = {"kind": "words"}


def prepare_in(folder: Path, tokenizer: dict[str, Any], **settings: Any) -> Corpus:
    """A corpus that is prepared in this process: starting workers takes a second."""
    return prepare(DataConfig(tokenizer=tokenizer, **({"num_workers": 0} | settings)), folder)


def write_lines(path: Path, lines: list[str]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="")
    return str(path)


def write_tune(path: Path, seed: int, num_bars: int = 4, metre: str = "4/4") -> Path:
    """A tune with a note on each quarter, different for each seed."""
    numerator, denominator = map(int, metre.split("/"))
    starts = np.arange(num_bars * numerator * 16 // denominator // 4) * 4
    pitches = np.random.default_rng(seed).integers(40, 90, len(starts))
    piece = Piece(make_notes(starts, starts + 4, pitches), 4, (Metre(0, numerator, denominator),))
    path.parent.mkdir(parents=True, exist_ok=True)
    to_pretty_midi(piece).write(str(path))
    return path


def write_tunes(folder: Path, num_tunes: int) -> list[Path]:
    return [write_tune(folder / f"{i:03d}.mid", i) for i in range(num_tunes)]


def lines_of(corpus: Corpus) -> dict[str, list[str]]:
    return {
        name: [corpus.tokenizer.decode(split[i]) for i in range(len(split))]
        for name, split in corpus.splits.items()
    }


def rows_of(corpus: Corpus) -> dict[str, SourceRow]:
    return {Path(row.source).name: row for row in corpus.manifest()}


def assert_adds_up(corpus: Corpus, num_sources: int) -> None:
    """Each source has a row, used or with a reason, and each sequence a source."""
    manifest = corpus.manifest()
    assert len({row.source for row in manifest}) == len(manifest) == num_sources
    for row in manifest:
        assert (sum(row.taken.values()) > 0) == (row.reason is None)
    for name in SPLITS:
        total = sum(row.taken.get(name, 0) for row in manifest)
        leaked = corpus.num_leaked[name] if corpus.deduped else 0
        assert len(corpus.splits[name]) == total - leaked
    used = sum(row.reason is None for row in manifest)
    left_out = left_out_of(manifest)
    assert sum(n for reason, n in left_out.items() if reason.unit == "file") == num_sources - used
