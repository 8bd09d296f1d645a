"""Whether the engine of the page of `seqvae play` computes what the model computes.

    python scripts/page_against_torch.py drums_2bar melody_2bar

The page of each model is written, and its engine runs in Node on codes of the prior. Their tokens
are compared with those of torch, greedy and drawn with the code's number as the seed; then the
greedy tokens are encoded, and the means of both are compared.
"""

import argparse
import json
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from benchmarking import markdown

from seqvae.disk import write_file
from seqvae.inference.provenance import provenance
from seqvae.inference.trained import TrainedVAE
from seqvae.model.config import Sampling
from seqvae.model.noise import row_seeds
from seqvae.pages.play import write_play
from seqvae.tokenizers.contract import Example

RESULTS = Path(__file__).parent / "results" / "page_engine.json"
NUM_CODES = 1000
TEMPERATURE = 1.0
PART = re.compile(r'<script type="([\w/]+)" id="(\w+)">(.*?)</script>', re.DOTALL)
RUN = """
const { model, codes, temperature } = JSON.parse(require("fs").readFileSync(0, "utf8"));
start({ model });
const [tokens] = engine.bars ?? [engine.tokens];
const answers = codes.map((code, seed) => {
  const z = Float32Array.from(code);
  const greedy = [...engine.decoder.decode(z)];
  const drawn = [...engine.decoder.decode(z, { temperature, seed })];
  const mean = [...engine.encoder.mean(tokens.seen ? tokens.seen(greedy) : greedy)];
  return { greedy, drawn, mean };
});
process.stdout.write(JSON.stringify(answers));
"""


def answers_of(page: Path, codes: torch.Tensor) -> list[dict[str, Any]]:
    """What the engine of a page makes of codes: its tokens, and the means that these encode to."""
    parts = {name: text for _, name, text in PART.findall(page.read_text(encoding="utf-8"))}
    given = {
        "model": json.loads(parts["data"])["model"], "codes": codes.tolist(),
        "temperature": TEMPERATURE,
    }  # fmt: skip
    script = page.with_suffix(".js")
    script.write_text(parts["engine"] + RUN, encoding="utf-8")
    ran = subprocess.run(
        ["node", str(script)], input=json.dumps(given), capture_output=True, text=True,
        encoding="utf-8", check=True,
    )  # fmt: skip
    answers: list[dict[str, Any]] = json.loads(ran.stdout)
    return answers


@torch.no_grad()
def compared(model: str, num_codes: int, folder: Path) -> dict[str, Any]:
    """A row of the results."""
    page = folder / "page.html"
    write_play(Path(model), page)
    vae = TrainedVAE.load(Path(model), device="cpu")
    codes = vae.prior.sample(num_codes, torch.Generator().manual_seed(0))
    answers = answers_of(page, codes)
    seeds = [row_seeds(1, torch.Generator().manual_seed(seed))[0] for seed in range(num_codes)]
    row: dict[str, Any] = {"name": model, "codes": num_codes}
    for name, temperature in (("greedy", 0.0), ("drawn", TEMPERATURE)):
        found = vae.model.decode(codes, Sampling(temperature=temperature), seeds)
        rows = [ids[:length] for ids, length in zip(found.ids, found.lengths, strict=True)]
        row[name] = sum(
            each.tolist() == answer[name] for each, answer in zip(rows, answers, strict=True)
        )
    examples = [Example(torch.tensor(answer["greedy"]).numpy()) for answer in answers]
    means = torch.tensor([answer["mean"] for answer in answers])
    row["mean_error"] = float((vae.codec.posterior(examples).mean - means).abs().max())
    return row


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    return markdown(
        ["page", "codes", "greedy tokens are all equal", "drawn tokens are all equal",
         "largest difference of a mean"],
        [
            [f"`{row['name']}`", f"{row['codes']:,}", f"{row['greedy']:,}", f"{row['drawn']:,}",
             f"{row['mean_error']:.1e}"]
            for row in rows
        ],
    )  # fmt: skip


def make_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("models", nargs="+", help="runs, bundles, or names of models that ship")
    parser.add_argument("--codes", type=int, default=NUM_CODES, help="for each model")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of the results")
    return parser


def main() -> None:
    """Compare, print and keep the rows."""
    options, begin = make_parser().parse_args(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        rows = [compared(name, options.codes, Path(folder)) for name in options.models]
    about = provenance(shlex.join(["python", *sys.argv]), seed=0, seconds=time.monotonic() - begin)
    write_file(options.results, json.dumps({"rows": rows, **about}, indent=2) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
