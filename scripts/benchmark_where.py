"""What `score --where` finds: a token that was swapped, and lines with an anomaly.

    python scripts/benchmark_where.py runs/captions
    python scripts/made_logs.py logs
    seqvae train configs/logs.yaml --data.source logs/normal.txt
    python scripts/benchmark_where.py runs/logs --planted logs/planted.tsv

Without a file, lines of the test split get one other token each. Found is how often the token with
the most nats is that one. With a file of kinds and lines (a tab between them), lines of the kind
`normal` and all others are told apart, by the nats per token of the whole line, and by those of its
oddest token (AUROC). A 5-gram model of the training split does the same.

Each run gives a row in results/where.json. `--table` prints the table of results.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from benchmark_latent import auroc
from benchmarking import Row, markdown, row_of_run
from ngram import NGram
from numpy.typing import NDArray

from seqvae.corpus.store import Corpus
from seqvae.inference.options import Score
from seqvae.inference.surprise import parts_of
from seqvae.inference.trained import TrainedVAE
from seqvae.tokenizers.contract import Example, Ids, TextTokenizer

RESULTS = Path(__file__).parent / "results" / "where.json"
NUM_DRAWS = {"mean": 1, "importance": 20, "repair": 1}  # of `score --by`; only importance draws
NUM_COUNTED = 30_000  # sequences that the n-gram model counts
NORMAL = "normal"


def counted(corpus: Corpus, rng: np.random.Generator) -> NGram:
    """The 5-gram model of a training split."""
    train = corpus.splits["train"]
    chosen = rng.permutation(len(train))[:NUM_COUNTED].tolist()
    size = int(corpus.tokenizer.vocab_sizes[0])
    return NGram((train[number][:, 0].tolist() for number in chosen), size)


# Swapped tokens


def swaps(vae: TrainedVAE, corpus: Corpus, num_lines: int, seed: int) -> Row:
    """How often the oddest token is the one that was swapped."""
    tokenizer, rng = corpus.tokenizer, np.random.default_rng(seed)
    assert tokenizer.modality == "text"
    test, train = corpus.splits["test"], corpus.splits["train"]
    types = np.unique(np.concatenate([train[i][:, 0] for i in range(min(len(train), NUM_COUNTED))]))
    changed: list[tuple[Ids, int]] = []
    for number in rng.permutation(len(test)).tolist():
        if len(changed) < num_lines:
            changed += swapped(tokenizer, test[number], types, rng)
    lines, places = [Example(ids) for ids, _ in changed], [place for _, place in changed]
    found = {}
    for by, num_draws in NUM_DRAWS.items():
        how = Score("", where=True, by=by, iw_samples=num_draws, seed=seed)
        nats = [
            [part.nats for part in parts_of(vae.codec, [line], how, tokenizer.decode(line.ids))]
            for line in lines
        ]
        found[by] = share_found(nats, places)
    ngram = counted(corpus, rng)
    nats = [ngram.nats_of_each(ids[:, 0].tolist()) for ids, _ in changed]
    return {"num_lines": len(lines), "found": found | {"ngram": share_found(nats, places)}}


def swapped(
    tokenizer: TextTokenizer, ids: Ids, types: NDArray[np.int64], rng: np.random.Generator
) -> list[tuple[Ids, int]]:
    """A line with another token at one place, and the place; none if it would be read otherwise."""
    if len(ids) < 3:
        return []
    changed, place = ids.copy(), int(rng.integers(len(ids) - 1))
    changed[place] = rng.choice(types)
    if changed[place] in (ids[place], tokenizer.eos_id):
        return []
    again = tokenizer.encode(tokenizer.decode(changed))
    return [(changed, place)] if np.array_equal(again, changed) else []


def share_found(nats: Sequence[Sequence[float]], places: Sequence[int]) -> float:
    """How often the most nats are at the place."""
    return float(np.mean([np.argmax(a) == b for a, b in zip(nats, places, strict=True)]))


# Planted anomalies


def anomalies(vae: TrainedVAE, corpus: Corpus, planted: Path, seed: int) -> Row:
    """AUROC of all anomalies, and of each kind, by the whole line and by its oddest token."""
    rows = [row.split("\t") for row in planted.read_text(encoding="utf-8").splitlines()]
    kinds, lines = np.array([kind for kind, _ in rows]), [line for _, line in rows]
    tokenizer = corpus.tokenizer
    assert tokenizer.modality == "text"
    ngram = counted(corpus, np.random.default_rng(seed))
    values = {}
    for by, num_draws in NUM_DRAWS.items():
        scores = vae.score(lines, where=True, by=by, iw_samples=num_draws, seed=seed)
        if by == "importance":
            values["line"] = [score.per_event for score in scores]
        values[f"token, {by}"] = [max(part.nats for part in score.parts) for score in scores]
    tokens = [tokenizer.encode(line)[:, 0].tolist() for line in lines]
    values["line, ngram"] = [ngram.nats(each) for each in tokens]
    values["token, ngram"] = [max(ngram.nats_of_each(each)) for each in tokens]
    return {
        "num_lines": len(lines),
        "auroc": {way: by_kind(np.array(each), kinds) for way, each in values.items()},
    }


def by_kind(values: NDArray[np.float64], kinds: NDArray[np.str_]) -> dict[str, float]:
    """AUROC against normal lines: of all others, then of each kind."""
    normal = values[kinds == NORMAL]
    found = {"all": auroc(values[kinds != NORMAL], normal)}
    others = dict.fromkeys(kind for kind in kinds.tolist() if kind != NORMAL)
    return found | {kind: auroc(values[kinds == kind], normal) for kind in others}


# Results


def swap_table(rows: Sequence[Row]) -> str:
    """How often a swapped token is found."""
    ways = [*NUM_DRAWS, "ngram"]
    lines = [
        [f"`{row['name']}`", str(row["num_lines"]), *(f"{row['found'][way]:.3f}" for way in ways)]
        for row in rows
        if "found" in row
    ]
    header = [
        "the oddest token is the swapped one",
        "lines",
        *(f"`--by {way}`" for way in NUM_DRAWS),
    ]
    return markdown([*header, "5-gram model"], lines)


def anomaly_table(rows: Sequence[Row]) -> str:
    """AUROC of anomalies: a line for each way to score them."""
    tables = []
    for row in rows:
        if "auroc" in row:
            names = [*next(iter(row["auroc"].values()))]
            lines = [
                [way, *(f"{found[name]:.3f}" for name in names)]
                for way, found in row["auroc"].items()
            ]
            tables.append(markdown([f"AUROC, `{row['name']}`", *names], lines))
    return "\n\n".join(tables)


def make_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("run", type=Path, nargs="?", help="a run of text or symbols")
    parser.add_argument("--planted", type=Path, help="kinds and lines, such as of made_logs.py")
    parser.add_argument("--lines", type=int, default=500, help="lines of which a token is swapped")
    parser.add_argument("--seed", type=int, default=0, help="seed of all draws")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of the rows")
    parser.add_argument("--table", action="store_true", help="print the results as tables")
    return parser


def main() -> None:
    """Make the row of a run, or print the tables."""
    parser = make_parser()
    options = parser.parse_args()
    if options.table:
        rows = json.loads(options.results.read_text(encoding="utf-8"))
        print(swap_table(rows) + "\n\n" + anomaly_table(rows))
        return
    if options.run is None:
        parser.error("name a run")

    def measure(vae: TrainedVAE, corpus: Corpus) -> Row:
        if options.planted:
            return anomalies(vae, corpus, options.planted, options.seed)
        return swaps(vae, corpus, options.lines, options.seed)

    row = row_of_run(options.run, options.results, options.seed, measure)
    print(json.dumps(row, indent=2))


if __name__ == "__main__":
    main()
