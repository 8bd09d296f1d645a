"""What a model of symbols has learned: of molecules by RDKit, of peptides by their composition.

    seqvae train configs/smiles.yaml --name qm9 --data.source qm9.csv --data.column smiles
    python scripts/benchmark_symbols.py molecules runs/qm9
    python scripts/benchmark_symbols.py peptides runs/peptides

Molecules need `pip install ".[molecules]"`. Figures of 1,000 samples, and of 1,000 sequences of the
test split:

- valid, unique: share of the samples that RDKit reads, and share of the valid ones that differ as
  molecules; new: share of these that are not in the training split;
- exact: share of the test sequences that greedy decoding from the posterior mean repeats;
- similarity: mean Tanimoto similarity (Morgan fingerprints of radius 2) of valid variations to the
  molecule that they are made of, by `vary --distance`;
- moved: share of the test molecules whose logP goes the wanted way by `shift`, of those that are
  valid afterwards, and of all;
- composition: how far the shares of the symbols are from those of the training split (total
  variation), of samples and of the test split.

Each run gives a row in results/symbols.json. `--table` prints the table of results.
"""

import argparse
import itertools
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from benchmarking import Row, markdown, row_of_run

from seqvae.corpus.store import Corpus
from seqvae.inference.trained import TrainedVAE

RESULTS = Path(__file__).parent / "results" / "symbols.json"
KINDS = ("molecules", "peptides")
DISTANCES = (0.05, 0.1, 0.2, 0.4)
NUM_MOVED, NUM_LABELLED = 300, 3000  # molecules
COLUMNS = {  # of the table, and their figures
    "samples valid": "valid", "unique": "unique", "new": "new", "reconstructed exactly": "exact",
    **{f"similarity at {far}": f"similarity {far}" for far in DISTANCES},
    "of others": "similarity_of_pairs", "logP moved": "moved_of_valid",
    "composition": "composition_distance", "of the test split": "composition_distance_of_test",
}  # fmt: skip


def main() -> None:
    """Make the row of a run, or print the table."""
    parser = make_parser()
    chosen = parser.parse_args()
    if chosen.table:
        rows = json.loads(chosen.results.read_text(encoding="utf-8"))
        print("\n\n".join(filter(None, (table(rows, kind) for kind in KINDS))))
        return
    if chosen.run is None:
        parser.error("name the kind of symbols and a run")
    row = row_of_run(
        chosen.run, chosen.results, chosen.seed,
        lambda vae, corpus: measure(
            vae, corpus, chosen.kind, chosen.n, chosen.temperature, chosen.seed
        ),
    )  # fmt: skip
    print(json.dumps(row, indent=2))


def make_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("kind", nargs="?", choices=KINDS)
    parser.add_argument("run", type=Path, nargs="?", help="a run of symbols")
    parser.add_argument("-n", type=int, default=1000, help="samples, and test sequences")
    parser.add_argument("--temperature", type=float, default=0.5, help="of the samples")
    parser.add_argument("--seed", type=int, default=0, help="seed of all draws")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of the rows")
    parser.add_argument("--table", action="store_true", help="print the results as a table")
    return parser


def measure(
    vae: TrainedVAE, corpus: Corpus, kind: str, number: int, temperature: float, seed: int
) -> Row:
    """All figures of a model."""
    train = lines_of(corpus, "train", seed)
    test = lines_of(corpus, "test", seed)[:number]
    samples = [*map(str, vae.sample(number, temperature=temperature, seed=seed))]
    row: Row = {"temperature": temperature, "num_samples": number}
    row["exact"] = share(a == b for a, b in zip(test, vae.reconstruct(test), strict=True))
    if kind == "peptides":
        return row | composition_figures(samples, train, test)
    return row | molecule_figures(vae, samples, train, test, seed)


def table(rows: list[Row], kind: str) -> str:
    """The rows of a kind of symbols in Markdown, if there are any; what one has not is a dash."""
    lines = [
        [f"`{row['name']}`", *(f"{row[key]:.3f}" if key in row else "-" for key in keys)]
        for row in ({**each, **flat(each.get("similarity", {}))} for each in rows)
        for keys in [COLUMNS.values()]
        if ("valid" in row) == (kind == "molecules")
    ]
    return markdown(["run", *COLUMNS], lines) if lines else ""


def flat(similarity: dict[str, float]) -> dict[str, float]:
    """Similarities by the names of their columns."""
    return {f"similarity {far}": value for far, value in similarity.items()}


def lines_of(corpus: Corpus, name: str, seed: int) -> list[str]:
    """The lines of a split, in an order drawn at random."""
    split, tokenizer = corpus.splits[name], corpus.tokenizer
    assert tokenizer.modality == "text"
    order = np.random.default_rng(seed).permutation(len(split))
    return [tokenizer.decode(split[number]) for number in order.tolist()]


def share(answers: Any) -> float:
    """How many of the answers are yes; 0 of none."""
    every = [*answers]
    return sum(map(bool, every)) / max(len(every), 1)


def composition_figures(samples: list[str], train: list[str], test: list[str]) -> dict[str, Any]:
    """How far the symbols of samples are distributed as those of the data, and their lengths."""
    return {
        "unique": len({*samples}) / len(samples),
        "new": share(sample not in {*train} for sample in samples),
        "composition_distance": distance(samples, train),
        "composition_distance_of_test": distance(test, train),
        "mean_length": float(np.mean([*map(len, samples)])),
        "mean_length_of_train": float(np.mean([*map(len, train)])),
    }


def distance(some: list[str], others: list[str]) -> float:
    """Total variation between the shares of the symbols: 0 if they are equal, at most 1."""
    a, b = (Counter("".join(lines)) for lines in (some, others))
    return sum(abs(a[s] / a.total() - b[s] / b.total()) for s in a.keys() | b.keys()) / 2


def molecule_figures(
    vae: TrainedVAE, samples: list[str], train: list[str], test: list[str], seed: int
) -> dict[str, Any]:
    """What RDKit says of samples, variations and shifts."""
    from rdkit import Chem, RDLogger

    RDLogger.DisableLog("rdApp.*")
    known = {canonical(line) for line in train}
    valid = [name for sample in samples if (name := canonical(sample))]
    return {
        "valid": len(valid) / len(samples),
        "unique": len({*valid}) / max(len(valid), 1),
        "new": share(name not in known for name in {*valid}),
        "similarity": similarities(vae, test, seed),
        "similarity_of_pairs": tanimoto(itertools.pairwise(test)),
        **moved(vae, train, test),
        "rdkit": Chem.rdBase.rdkitVersion,
    }


def canonical(line: str) -> str | None:
    """The molecule as RDKit writes it; None if the line is none."""
    from rdkit import Chem

    molecule = Chem.MolFromSmiles(line) if line else None
    return None if molecule is None else str(Chem.MolToSmiles(molecule))


def similarities(vae: TrainedVAE, test: list[str], seed: int) -> dict[str, float]:
    """Mean similarity of variations to what they are made of, by distance."""
    found = {}
    for far in DISTANCES:
        pairs = []
        for line in test[: NUM_MOVED // 3]:
            pairs += [(line, str(other)) for other in vae.vary(line, n=4, distance=far, seed=seed)]
        found[str(far)] = tanimoto(pairs)
    return found


def tanimoto(pairs: Any) -> float:
    """Mean similarity of the pairs that are molecules."""
    from rdkit import Chem, DataStructs
    from rdkit.Chem import rdFingerprintGenerator

    made = rdFingerprintGenerator.GetMorganGenerator(radius=2)
    found = []
    for pair in pairs:
        molecules = [Chem.MolFromSmiles(line) for line in pair]
        if all(molecules):
            prints = [made.GetFingerprint(molecule) for molecule in molecules]
            found.append(DataStructs.TanimotoSimilarity(*prints))
    return float(np.mean(found)) if found else float("nan")


def moved(vae: TrainedVAE, train: list[str], test: list[str]) -> dict[str, float]:
    """How often `shift` moves logP the wanted way, half of the molecules up and half down."""
    with tempfile.TemporaryDirectory() as folder:
        labels = Path(folder) / "log_p.tsv"
        rows = [f"{log_p(line)}\t{line}\n" for line in train[:NUM_LABELLED]]
        labels.write_text("".join(rows), encoding="utf-8")
        vae.attributes(names=["log_p"], labels=labels, out=folder)
    before, right, num_valid = test[:NUM_MOVED], 0, 0
    for way, some in ((1.0, before[::2]), (-1.0, before[1::2])):
        for line, other in zip(some, vae.shift(some, attribute="log_p", amount=way), strict=True):
            if canonical(other):
                num_valid += 1
                right += (log_p(other) - log_p(line)) * way > 0
    return {
        "moved_of_valid": right / max(num_valid, 1),
        "moved_of_all": right / len(before),
        "valid_after_shift": num_valid / len(before),
    }


def log_p(line: str) -> float:
    """Crippen's estimate of the octanol-water partition."""
    from rdkit import Chem
    from rdkit.Chem import Crippen

    return float(Crippen.MolLogP(Chem.MolFromSmiles(line)))


if __name__ == "__main__":
    main()
