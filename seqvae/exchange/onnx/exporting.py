"""`seqvae export onnx`: three graphs, what a caller must know of them, and an example."""

import io
import json
import shutil
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seqvae.disk import check_replaceable, replaced_folder, write_file
from seqvae.errors import InputError
from seqvae.exchange.onnx.graphs import Begin, Encode, NoteStep, Step
from seqvae.inference.bundle import bundle_in, load_bundle
from seqvae.model.vae import SequenceVAE
from seqvae.tokenizers import save_tokenizer

ABOUT, EXAMPLE, STEP = "model.json", "decode.py", "step.onnx"
OPSET = 17


def export_onnx(model: Path, folder: Path) -> None:
    """Write the model of a run or a bundle to a folder, in place of an older export.

    Raises:
        InputError: onnx is not installed, there is no such model, it is of a kind that has no
            graphs, or the folder holds something else.
    """
    if find_spec("onnx") is None:
        raise InputError('graphs need the library onnx: pip install "seqvae[onnx]"')
    check_replaceable(folder, STEP)
    network, tokenizer = load_bundle(bundle_in(model))
    graphs = graphs_of(network)
    with replaced_folder(folder) as beside:
        for name, content in graphs.items():
            write_file(beside / f"{name}.onnx", content)
        write_file(beside / ABOUT, json.dumps(_about(network), indent=2) + "\n")
        save_tokenizer(tokenizer, beside)
        shutil.copyfile(Path(__file__).with_name(EXAMPLE), beside / EXAMPLE)


def _about(model: SequenceVAE) -> dict[str, Any]:
    """What the loop over steps must know."""
    decoder = model.decoder
    return {
        "latent_dim": model.config.latent_dim,
        "segment_length": decoder.segment_length or model.steps.max_steps,
        **asdict(model.steps),
    }


@torch.no_grad()
def graphs_of(model: SequenceVAE) -> dict[str, bytes]:
    """The graphs by their names; a model without an encoder has two.

    Raises:
        InputError: the model is of a kind that has no graphs.
    """
    steps, config = model.steps, model.config
    if not config.latent_dim:
        raise InputError("a language model (latent_dim 0) has no code to begin from")
    if steps.segment_eos_id is not None:
        raise InputError("a model of tracks that end early (multitrack) has no graphs")
    num_rows, num_channels = 2, steps.num_channels
    ids = torch.zeros(num_rows, steps.max_steps, num_channels + len(steps.condition_sizes)).long()
    lengths = torch.full((num_rows,), steps.max_steps)
    z, segment = torch.zeros(num_rows, config.latent_dim), torch.tensor(0)
    begin = Begin(model).eval()
    step = (NoteStep if steps.slot_size else Step)(model).eval()
    states = dict(zip(("code", "hidden", "cell"), begin(z, segment), strict=True))
    step_inputs = {
        "tokens": ids[:, 0, :num_channels], "is_first": torch.tensor(True), **states,
        "temperature": torch.tensor(0.0), "noise": torch.zeros(num_rows, sum(steps.vocab_sizes)),
    }  # fmt: skip
    results = ["drawn", "next_hidden", "next_cell"]
    if steps.slot_size:
        step_inputs["sounding"] = torch.zeros(num_rows, steps.slot_sizes[0]).long()
        results.append("next_sounding")
    if steps.condition_sizes:
        step_inputs["conditions"] = ids[:, 0, num_channels:]
    graphs = {
        "begin": _graph(begin, {"z": z, "segment": segment}, ("code", "hidden", "cell")),
        "step": _graph(step, step_inputs, results),
    }
    if model.encoder is not None:
        inputs = {"ids": ids, "lengths": lengths}
        graphs["encode"] = _graph(Encode(model).eval(), inputs, ("mean", "log_stddev"))
    return graphs


def _graph(module: nn.Module, inputs: dict[str, Tensor], outputs: Sequence[str]) -> bytes:
    """A module as a graph for any number of rows."""
    axes = {name: {0: "rows"} for name in (*inputs, *outputs)}
    of_layers = ("hidden", "cell")
    axes |= {name: {1: "rows"} for name in axes if name.endswith(of_layers)}
    scalars = {name for name, value in inputs.items() if value.ndim == 0}
    content = io.BytesIO()
    with warnings.catch_warnings():  # of tracing, which notes each size that is a constant
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, tuple(inputs.values()), content,  # type: ignore[arg-type]  # a file, too
            dynamo=False, opset_version=OPSET,
            input_names=[*inputs], output_names=[*outputs],
            dynamic_axes={name: axis for name, axis in axes.items() if name not in scalars},
        )  # fmt: skip
    return content.getvalue()
