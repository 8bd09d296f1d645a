"""The bundle of a trained model: everything needed to use it, on any machine.

A folder with model.safetensors, config.json (format number, model, steps and training settings),
tokenizer.json and README.md (the model card). Training adds prior.safetensors, from which samples
are drawn. Nothing is pickled.

A bundle is only read, unless it is named as the place to write to. Directions that are fitted to a
run go to the run beside it; whoever ships a bundle with directions copies them into it.
"""

import contextlib
import copy
import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model, save_model
from torch.overrides import TorchFunctionMode

from seqvae import __version__
from seqvae.corpus.store import ABOUT, Corpus
from seqvae.disk import door, fields_of, read_json, replaced_folder, write_file
from seqvae.errors import InputError, shown
from seqvae.files import expanded
from seqvae.hub import Hub
from seqvae.inference.cards import CARD
from seqvae.model.config import ModelConfig, Steps
from seqvae.model.vae import SequenceVAE
from seqvae.shipped import find_model
from seqvae.tokenizers import AnyTokenizer, load_tokenizer, save_tokenizer
from seqvae.tokenizers.contract import from_plain

FORMAT = 1
BUNDLE = "bundle"  # its folder in a run
CONFIG, WEIGHTS = "config.json", "model.safetensors"
RUN_CONFIG = "config.yaml"  # the settings of a run
COPY = "copy the bundle again"
NO_DATA = (
    "a model without its run has no data; let seqvae prepare --init_from this model read some, and "
    "name it with --corpus"
)

logger = logging.getLogger(__name__)


def as_path(place: Any) -> Path:
    """A path in any form.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(place, str | os.PathLike):
        raise TypeError(f"{shown(place)} is no path; name a folder")
    return expanded(place)


def bundle_in(folder: Path, how: Hub | None = None) -> Path:
    """The bundle of a run, of a model that ships or of one on the hub, or the folder if it is one.

    Raises:
        InputError: it is none of these.
    """
    folder = find_model(folder, how)
    if (folder / RUN_CONFIG).is_file() and not (folder / BUNDLE).is_dir():
        raise InputError(
            f"{folder}: no model yet; train on with --resume until the first validation"
        )
    return folder / BUNDLE if (folder / BUNDLE).is_dir() else folder


def model_name(model: Path) -> str:
    """What a run, a bundle or a model that ships is called."""
    folder = model.resolve()
    return folder.parent.name if folder.name == BUNDLE else folder.name


def open_corpus(run: Path, folder: Path | None = None) -> Corpus:
    """A prepared corpus: the folder that is named, or else the one that a run was trained on.

    A warning says so if the corpus was prepared again since.

    Raises:
        InputError: there is no such corpus or model, or no run that names a corpus.
    """
    if folder is not None:
        return Corpus(folder)
    config_file = run / RUN_CONFIG
    if not config_file.is_file():
        find_model(run)  # or else there is none
        raise InputError(f"{run}: {NO_DATA}")
    with door(config_file, "name the corpus with --corpus", yaml.YAMLError):
        config = yaml.safe_load(config_file.read_text(encoding="utf-8"))
        name = fields_of(config, {"name": str, "data": dict[str, Any]})["name"]
        named = fields_of(config["data"], {"corpus": str | None})["corpus"] or f"corpora/{name}"
    about = run / ABOUT
    trained_on = read_json(about, "delete it", fingerprint=str) if about.is_file() else {}
    found = _corpora(named, run, str(trained_on.get("folder") or ""))
    if not found:
        raise InputError(f"{run}: its corpus {named} is not there; name it with --corpus")
    same = (corpus for corpus in found if corpus.fingerprint == trained_on.get("fingerprint"))
    corpus = next(same, found[0])
    if trained_on and trained_on["fingerprint"] != corpus.fingerprint:
        logger.warning(
            "%s was prepared again after %s was trained: its held-out sequences may have been "
            "training sequences then", corpus.folder, run,
        )  # fmt: skip
    return corpus


def check_tokens(corpus: Corpus, tokenizer: AnyTokenizer, model: object = "MODEL") -> None:
    """Refuse a corpus whose tokens are not those of a model, which the remedy names.

    Raises:
        InputError: it was prepared with another tokenizer.
    """
    if corpus.tokenizer.of_tokens() != tokenizer.of_tokens():
        raise InputError(
            f"{corpus.folder}: prepared with another tokenizer than the model's; seqvae prepare "
            f"--init_from {model} --data.source FILES --data.corpus FOLDER makes one for it"
        )


def _corpora(named: str, run: Path, recorded: str) -> list[Corpus]:
    """The corpora that may be the one of a run: the project may have moved, or this be elsewhere.

    They are looked for where the run says, here, and in the folders around the run.
    """
    around = [folder / expanded(named) for folder in run.resolve().parents]
    places = [Path(recorded)] if recorded else []
    places = [place for place in (*places, expanded(named), *around) if (place / ABOUT).is_file()]
    return [Corpus(place) for place in dict.fromkeys(places)]


def load_bundle(bundle: Path) -> tuple[SequenceVAE, Any]:
    """The model, in evaluation mode on the CPU, and the tokenizer of a bundle.

    Raises:
        InputError: a file is missing, damaged, of another format or of another model.
    """
    model, tokenizer = load_weights(bundle), load_tokenizer(bundle)
    if tokenizer.steps != model.steps:
        raise InputError(f"{bundle}: its tokenizer does not belong to its model; copy it again")
    return model, tokenizer


def load_weights(bundle: Path) -> SequenceVAE:
    """The model that `save_weights` wrote, in evaluation mode on the CPU.

    Raises:
        InputError: a file is missing, damaged, of another format or of another model.
    """
    for name in (CONFIG, WEIGHTS):
        if not (bundle / name).is_file():
            raise InputError(f"{bundle}: {name} is missing; is this a seqvae bundle?")
    config, steps = read_config(bundle / CONFIG)
    with door(bundle / WEIGHTS, COPY, SafetensorError):
        _check_shapes(bundle / WEIGHTS, config, steps)
        with Unfilled():
            model = SequenceVAE(config, steps)
        load_model(model, str(bundle / WEIGHTS))
        if not all(weight.isfinite().all() for weight in model.state_dict().values()):
            raise ValueError("a weight is not finite")
    return model.eval()


class Unfilled(TorchFunctionMode):
    """Weights of new modules are not drawn.

    To draw them takes longer than to read them; on the meta device it loads torch's compiler, which
    takes longer than all else together.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Leave a tensor as it is where `torch.nn.init` would fill it."""
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def _check_shapes(file: Path, config: ModelConfig, steps: Steps) -> None:
    """Compare a file's header with the model that is to hold it, before that takes any memory.

    Raises:
        ValueError: a weight has another shape, or is missing, or is one too many.
    """
    with torch.device("meta"), Unfilled():
        plan = SequenceVAE(config, steps)
    named = {**dict(plan.named_parameters(remove_duplicate=False)), **dict(plan.named_buffers())}
    wanted = {name: named[name] for name in plan.state_dict()}
    with safe_open(file, framework="pt") as opened:
        names = opened.keys()
        shapes = {name: tuple(opened.get_slice(name).get_shape()) for name in names}
    for name, shape in shapes.items():
        if name not in wanted or tuple(wanted[name].shape) != shape:
            raise ValueError(f"not of this model: {name} {shape}")
    stored = {id(wanted[name]) for name in shapes}  # tied weights are stored once
    if missing := [name for name, weight in wanted.items() if id(weight) not in stored]:
        raise ValueError(f"not of this model: no {missing[0]}")


def fingerprint(model: SequenceVAE) -> str:
    """A name for the weights of a model."""
    digest = hashlib.sha256()
    for name, weight in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(weight.cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def read_config(file: Path) -> tuple[ModelConfig, Steps]:
    """The two parameter objects of the model.

    Raises:
        InputError: the file is damaged, or was written by another version of the format.
    """
    saved = read_json(file, COPY)
    written = saved.get("format")
    if written is None:
        raise InputError(f"{file}: made before format 1: train again")
    if written != FORMAT:
        raise InputError(f"{file}: format {shown(written)}, but this seqvae reads format {FORMAT}")
    with door(file, COPY):
        model, steps = (fields_of(saved[name], {}) for name in ("model", "steps"))
        return ModelConfig(**from_plain(model)), Steps(**from_plain(steps))


def save_bundle(
    folder: Path,
    model: SequenceVAE,
    tokenizer: AnyTokenizer,
    training: Mapping[str, Any],
    card: str,
) -> None:
    """Write everything that `seqvae.load` needs, all at once or not at all.

    `training` holds the settings of the experiment as plain values, `card` the model card.
    """
    with replaced_folder(folder) as beside:
        save_weights(beside, model, training)
        save_tokenizer(tokenizer, beside)
        write_file(beside / CARD, card)


def save_weights(folder: Path, model: SequenceVAE, training: Mapping[str, Any]) -> None:
    """Write `model.safetensors` and `config.json`."""
    # On a GPU the weights of an LSTM are parts of one block, which safetensors refuses.
    apart = copy.deepcopy(model).cpu()
    with system_errors():
        save_model(apart, str(folder / WEIGHTS))
    (folder / WEIGHTS).chmod(0o644)  # safetensors writes it as private
    config = {
        "format": FORMAT,
        "seqvae": __version__,
        "model": asdict(model.config),
        "steps": asdict(model.steps),
        "training": {name: value for name, value in training.items() if name != "model"},
    }
    write_file(folder / CONFIG, json.dumps(config, indent=2) + "\n")


@contextlib.contextmanager
def system_errors() -> Iterator[None]:
    """Unwrap the errors of the operating system that safetensors wraps.

    Raises:
        OSError: there was one, such as a full disk.
    """
    try:
        yield
    except SafetensorError as error:
        if number := re.search(r"\(os error (\d+)\)", str(error)):
            raise OSError(int(number[1]), os.strerror(int(number[1]))) from error
        raise
