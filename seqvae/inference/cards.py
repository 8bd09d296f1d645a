"""The cards of models: YAML as model hubs read it, then what the model is and how good it is.

The head has `license`, once whoever publishes the model has stated it, and under `model-index` the
figures of `seqvae evaluate`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from seqvae.disk import door, fields_of
from seqvae.inference.options import field_docs
from seqvae.reasons import amount

if TYPE_CHECKING:  # cards are read where torch is not needed
    from seqvae.inference.evaluation import Evaluation

CARD = "README.md"  # in a bundle
FENCE = "---\n"  # before and after the YAML
NO_LICENCE = (
    "The licence of the weights follows from that of these data. It is not stated yet: only the\n"
    "person who trained the model can do so."
)
TEMPERATURES = {"music": 0.8, "text": 0.5}  # at which a card samples


def as_card(head: Mapping[str, Any], body: str) -> str:
    """A card of a head and a text."""
    return f"{FENCE}{yaml.safe_dump(dict(head), sort_keys=False, allow_unicode=True)}{FENCE}{body}"


def read_card(file: Path, remedy: str = "copy the bundle again") -> tuple[dict[str, Any], str]:
    """The head of a card, empty where there is none, and the text after it.

    Raises:
        InputError: the card cannot be read, or its head is not YAML.
    """
    with door(file, remedy, yaml.YAMLError):
        text = file.read_text(encoding="utf-8")
        if not text.startswith(FENCE):
            return {}, text
        head, _, body = text.removeprefix(FENCE).partition(FENCE)
        return fields_of(yaml.safe_load(head), {}), body


def figures_in(head: Mapping[str, Any]) -> dict[str, float]:
    """The first figures of a card, by the names that `seqvae evaluate --json` gives them."""
    try:
        metrics = head["model-index"][0]["results"][0]["metrics"]
        return {one["type"]: float(one["value"]) for one in metrics}
    except (KeyError, IndexError, TypeError, ValueError):  # none, or not as hubs read them
        return {}


def model_index(
    name: str, kind: str, figures: Mapping[str, Mapping[str, float]]
) -> list[dict[str, Any]]:
    """The `model-index` of a head: figures by the data that they were measured on."""
    results = [
        {
            "task": {"type": "other", "name": f"reconstruction of {kind}"},
            "dataset": {"name": on, "type": "other"},
            "metrics": [
                {"type": key, "value": round(float(value), 4)} for key, value in of_data.items()
            ],
        }
        for on, of_data in figures.items()
    ]
    return [{"name": name, "results": results}]


def usage(name: str, *, is_text: bool, use: str | None = None) -> str:
    """Code that loads a model and uses it: by default, that samples from it."""
    drawn = f"vae.sample(8, temperature={TEMPERATURES['text' if is_text else 'music']}, seed=1)"
    if not use and is_text:
        use = f"print({drawn})"
    elif not use:
        use = f'for number, clip in enumerate({drawn}):\n    clip.write(f"{{number}}.mid")'
    return f'```python\nimport seqvae\n\nvae = seqvae.load("{name}")\n{use}\n```'


def card_of_run(
    name: str,
    kind: str,
    modality: str,
    *,
    num_parameters: int,
    latent_dim: int,
    num_trained_on: int,
    figures: "Evaluation",
) -> str:
    """The card that a training writes: what the model is, and its figures on the validation split.

    `kind` and `modality` are those of its tokenizer.
    """
    known = {key: value for key, value in vars(figures).items() if value is not None}
    meanings = field_docs(type(figures))
    head = {
        "library_name": "seqvae",
        "tags": tags(kind, modality),
        "model-index": model_index(name, kind, {"validation split": known}),
    }
    table = "\n".join(f"| {key} | {value:.4g} | {meanings[key]} |" for key, value in known.items())
    body = f"""# {name}

A sequence VAE of {kind}, trained with seqvae: {num_parameters:,} parameters, and a latent code of
{amount(latent_dim, "dimension")}.

{usage("bundle", is_text=modality == "text")}

It was trained on {num_trained_on} sequences. {NO_LICENCE}

Figures on the validation split:

| figure | value | meaning |
|---|---|---|
{table}

The settings of the training are in `config.json`.
"""
    return as_card(head, body)


def tags(kind: str, modality: str) -> list[str]:
    """What hubs find a model by."""
    return [*dict.fromkeys(["seqvae", "vae", "midi" if modality == "music" else modality, kind])]
