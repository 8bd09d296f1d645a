"""The bundle of a trained model: all that is needed to use it, on any machine.

A folder with model.safetensors, config.json (the model's settings), tokenizer.json and README.md
(the model card); at the end of the training comes prior.safetensors, which samples are drawn from,
and `seqvae attributes` adds its own. Nothing is pickled.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from seqvae.corpus.store import Corpus, replaced_folder
from seqvae.errors import InputError
from seqvae.inference.metrics import Evaluation
from seqvae.model.vae import SequenceVAE
from seqvae.tokenizers import load_tokenizer, save_tokenizer
from seqvae.training.config import Config

BUNDLE = "bundle"  # its folder in a run


def bundle_in(folder: Path) -> Path:
    """The bundle of a run; a bundle is its own.

    Raises:
        InputError: the folder is neither.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give a run or a bundle")
    if (folder / "config.yaml").is_file() and not (folder / BUNDLE).is_dir():
        raise InputError(f"{folder}: this run has no bundle yet; let it reach a validation")
    return folder / BUNDLE if (folder / BUNDLE).is_dir() else folder


def load_bundle(bundle: Path) -> tuple[SequenceVAE, Any]:
    """The model and the tokenizer of a bundle.

    Raises:
        InputError: a file of it is missing or damaged.
    """
    tokenizer = load_tokenizer(bundle)
    model = SequenceVAE.load(bundle)
    if (model.vocab_sizes, model.given_sizes) != (tokenizer.vocab_sizes, tokenizer.given_sizes):
        raise InputError(f"{bundle}: the tokenizer is not that of the model")
    return model, tokenizer


def save_bundle(
    folder: Path, model: SequenceVAE, corpus: Corpus, config: Config, figures: Evaluation
) -> None:
    """Write all that `seqvae.load` needs, in one stroke."""
    with replaced_folder(folder) as beside:
        model.save(beside)
        save_tokenizer(corpus.tokenizer, beside)
        (beside / "README.md").write_text(model_card(model, corpus, config, figures))


def model_card(model: SequenceVAE, corpus: Corpus, config: Config, figures: Evaluation) -> str:
    """What the model is, what it learned from, and how well."""
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    measured = "\n".join(
        f"| {name} | {value:.4g} |" for name, value in vars(figures).items() if value is not None
    )
    return f"""# {config.name}

A sequence VAE trained with seqvae: {num_parameters:,} parameters, {corpus.tokenizer.kind} tokens,
latent code of {model.latent_dim} dimensions. Load it with `seqvae.load("{BUNDLE}")`.

Trained on {corpus.num_sequences["train"]} sequences. The licence of the weights follows from that
of the data, which only who trained it can state.

Validation split (definitions: `seqvae/metrics.py`):

| figure | value |
|---|---|
{measured}

Settings:

```json
{json.dumps(asdict(config), indent=2)}
```
"""
