"""Export: a flat model of melodies or drums as a checkpoint of magenta.js.

It is the same function. A vector of an embedding becomes a row of the kernel that reads it. The
vector that decoding starts from is taken off every other one, since Magenta starts from zeros.

Axes: V tokens, E embedding, H hidden units, L layers, Z latent.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, unflatten

from seqvae.errors import InputError
from seqvae.exchange.magenta.cells import Array, Cell, cell_of
from seqvae.exchange.magenta.files import Checkpoint
from seqvae.exchange.magenta.reading import CELL, DIRECTIONS
from seqvae.model.encoder import NormalisedMeans
from seqvae.model.vae import SequenceVAE
from seqvae.tokenizers import AnyTokenizer
from seqvae.tokenizers.drums import DrumsTokenizer
from seqvae.tokenizers.kits import CLASSES
from seqvae.tokenizers.melody import MelodyTokenizer

NUM_TRIADS = 49  # chords that Magenta knows, and no chord: the first numbers here


def as_checkpoint(model: SequenceVAE, tokenizer: AnyTokenizer) -> Checkpoint:
    """The checkpoint of a model.

    Raises:
        InputError: magenta.js has no such model.
    """
    spec = _spec(tokenizer)
    _check(model)
    if model.steps.condition_sizes:
        spec["chordEncoder"] = "TriadChordEncoder"
    with torch.no_grad():
        weights = _encoder(model) | _decoder(model)
    return Checkpoint(spec, {name: np.ascontiguousarray(w) for name, w in weights.items()})


def _spec(tokenizer: AnyTokenizer) -> dict[str, Any]:
    """The spec of what is read and written."""
    if not isinstance(tokenizer, MelodyTokenizer | DrumsTokenizer):
        raise InputError(f"a model of {tokenizer.kind}; only melody and drums become magenta.js")
    if tokenizer.steps_per_quarter != 4 or len(tokenizer.model_bars) > 1:
        raise InputError("magenta.js takes sixteenths, and bars of one length")
    args: dict[str, Any] = {"numSteps": tokenizer.max_steps}
    if isinstance(tokenizer, MelodyTokenizer):
        if tokenizer.num_velocity_bins:
            raise InputError(
                f"num_velocity_bins is {tokenizer.num_velocity_bins}; magenta.js knows no loudness "
                "of melodies: train one with 0"
            )
        args |= {"minPitch": tokenizer.min_pitch, "maxPitch": tokenizer.max_pitch}
        return {"type": "MusicVAE", "dataConverter": {"type": "MelodyConverter", "args": args}}
    args["pitchClasses"] = [list(pitches) for pitches in CLASSES.values()]
    return {"type": "MusicVAE", "dataConverter": {"type": "DrumsOneHotConverter", "args": args}}


def _check(model: SequenceVAE) -> None:
    """Refuse settings that Magenta's model has no room for."""
    config = model.config
    wanted = {
        "decoder": "flat", "encoder_layers": 1, "encoder_pooling": "last", "num_softmaxes": 1,
        "nade_dim": 0, "z_wiring": ("state", "input"),
    }  # fmt: skip
    for name, value in wanted.items():
        if getattr(config, name) != value:
            told = ", ".join(value) if isinstance(value, tuple) else value
            raise InputError(
                f"model.{name} is {getattr(config, name)}; what magenta.js reads has {told}, "
                "with which a model would have to be trained"
            )
    if not config.latent_dim:
        raise InputError("a language model (latent_dim 0); magenta.js needs a code")


def _rows(tables: list[Tensor], cell: Cell) -> Array:
    """What rows of tables add to the gates of a cell: (4, H, V)."""
    table = torch.cat(tables).numpy(force=True)
    rows: Array = cell.of_input[..., : table.shape[1]] @ table.T
    return rows


def _tables(embedding: Any) -> list[Tensor]:
    """The vectors of tokens, and then of the chords that Magenta knows."""
    vectors = [channel.vectors() for channel in embedding.channels]
    return [vectors[0], *(table[:NUM_TRIADS] for table in vectors[1:])]


def _encoder(model: SequenceVAE) -> dict[str, Array]:
    encoder: Any = model.encoder
    state, weights = encoder.state_dict(), dict[str, Array]()
    for way, (layers, _) in DIRECTIONS.items():
        cell = cell_of(state, f"{layers}.0")
        rows = _rows(_tables(encoder.embedding), cell)
        name = f"encoder/cell_0/bidirectional_rnn/{way}/{CELL.format(0)}"
        weights |= Cell(rows, cell.of_own, cell.bias).write(name)
    mean, spread = (part.chunk(2) for part in (encoder.posterior.weight, encoder.posterior.bias))
    kernel, bias = mean[0].T, spread[0]
    if isinstance(encoder.normalise, NormalisedMeans):
        scale, centre = encoder.normalise.scale, encoder.normalise.running_mean
        kernel, bias = kernel * scale, (bias - centre) * scale
    heads = {"mu": (kernel, bias)}
    if model.config.stddev == "softplus":
        heads["sigma"] = (mean[1].T, spread[1])
    return weights | _dense({f"encoder/{name}": head for name, head in heads.items()})


def _decoder(model: SequenceVAE) -> dict[str, Array]:
    decoder, config = model.decoder, model.config
    assert decoder.initial_state is not None
    state = decoder.state_dict()
    cells = [cell_of(state, f"layers.{number}") for number in range(config.decoder_layers)]
    tokens = [_tables(decoder.embedding)[0] - decoder.start]
    chords = [] if decoder.conditions is None else [decoder.conditions.channels[0].vectors()]  # type: ignore[operator]  # of a list
    first = cells[0]
    rows = [_rows(tokens, first), first.of_input[..., config.embedding_dim :]]
    rows += [_rows([table[:NUM_TRIADS]], first) for table in chords]
    start = _rows([decoder.start[None]], first)[..., 0]
    cells[0] = Cell(np.concatenate(rows, axis=2), first.of_own, first.bias + start)
    weights: dict[str, Array] = {}
    for number, cell in enumerate(cells):
        weights |= cell.write(f"decoder/{CELL.format(number)}")
    # Magenta has the cell of each layer, then its hidden state; here all hidden states come first.
    begun = [
        unflatten(part, 0, (2, config.decoder_layers, -1)).flip(0).transpose(0, 1).flatten(0, 2)
        for part in (decoder.initial_state.weight, decoder.initial_state.bias)
    ]
    head: Any = decoder.heads.logits[0]
    kernel, bias = head.output_weight().T, head.bias
    if isinstance(decoder.project, torch.nn.Linear):
        bias = bias + decoder.project.bias @ kernel
        kernel = decoder.project.weight.T @ kernel
    return weights | _dense({
        "decoder/z_to_initial_state": (begun[0].T, begun[1]),
        "decoder/output_projection": (kernel, bias),
    })  # fmt: skip


def _dense(layers: dict[str, tuple[Tensor, Tensor]]) -> dict[str, Array]:
    """Kernels and biases by their names."""
    return {
        f"{name}/{kind}": part.numpy(force=True)
        for name, parts in layers.items()
        for kind, part in zip(("kernel", "bias"), parts, strict=True)
    }
