"""A model for the engine of `play`: its weights in float16, and what the engine must know of it.

No weight is made of others, which float16 would round: the engine does that. Of the posterior
only the mean is kept.
"""

import base64
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from seqvae.errors import InputError
from seqvae.model.decoder import FlatDecoder, HierarchicalDecoder, MusicVAEDecoder
from seqvae.model.embedding import Members, StepEmbedding
from seqvae.model.encoder import Encoder, NormalisedMeans
from seqvae.model.heads import ChannelHeads
from seqvae.model.nade import Nade
from seqvae.model.note_sets import NoteHeads, Notes, NoteSetEmbedding
from seqvae.model.softmax import Softmax, SoftmaxMixture
from seqvae.model.step_parts import NotesOverConditions
from seqvae.model.vae import SequenceVAE
from seqvae.pages.page import Data

Weights = dict[str, Tensor]
LARGEST = 65504.0  # of float16


@torch.no_grad()
def model_data(model: SequenceVAE, beside: Mapping[str, Tensor]) -> Data:
    """The model as JSON, with the weights of what belongs to it.

    Raises:
        InputError: a weight is too large for float16.
    """
    encoder = {} if model.encoder is None else encoder_weights(model)
    weights = {**encoder, **decoder_weights(model.decoder), **beside}
    data = {"config": asdict(model.config), "steps": asdict(model.steps)}
    return data | packed(weights)


def packed(weights: Weights) -> Data:
    """Shapes by name, and all numbers one after the other in float16.

    Raises:
        InputError: a weight is too large for float16.
    """
    for name, weight in weights.items():
        if weight.numel() and float(weight.abs().max()) > LARGEST:
            raise InputError(f"{name}: a weight above {LARGEST:g}, which a page cannot hold")
    halves = [weight.half().cpu().contiguous().numpy().astype("<f2") for weight in weights.values()]
    return {
        "shapes": {name: list(weight.shape) for name, weight in weights.items()},
        "weights": base64.b64encode(b"".join(half.tobytes() for half in halves)).decode(),
    }


# The encoder


def encoder_weights(model: SequenceVAE) -> Weights:
    """Its embedding, its LSTMs and the mean's projection."""
    encoder: Any = model.encoder
    weights = _embedding("encoder.embedding", encoder.embedding)
    if isinstance(encoder, Encoder):
        layers = zip(encoder.forward_layers, encoder.backward_layers, strict=True)
        for number, (ahead, back) in enumerate(layers):
            weights |= _lstm(f"encoder.reader.{number}.ahead", ahead)
            weights |= _lstm(f"encoder.reader.{number}.back", back)
    else:
        weights |= _both_ways("encoder.reader", encoder.reader)
        weights |= _both_ways("encoder.overview", encoder.overview)
    half = encoder.posterior.out_features // 2  # the rest is the log-stddev
    weights["encoder.mean.weight"] = encoder.posterior.weight[:half]
    weights["encoder.mean.bias"] = encoder.posterior.bias[:half]
    if isinstance(encoder.normalise, NormalisedMeans):
        weights["encoder.centre"] = encoder.normalise.running_mean
        weights["encoder.variance"] = encoder.normalise.running_var
    return weights


def _lstm(name: str, lstm: nn.Module, layer: str = "l0") -> Weights:
    weights = dict(lstm.named_parameters())
    return {
        f"{name}.input": weights[f"weight_ih_{layer}"],
        f"{name}.own": weights[f"weight_hh_{layer}"],
        f"{name}.bias": weights[f"bias_ih_{layer}"],
        f"{name}.own_bias": weights[f"bias_hh_{layer}"],
    }


def _both_ways(name: str, lstm: nn.LSTM) -> Weights:
    weights: Weights = {}
    for number in range(lstm.num_layers):
        weights |= _lstm(f"{name}.{number}.ahead", lstm, f"l{number}")
        weights |= _lstm(f"{name}.{number}.back", lstm, f"l{number}_reverse")
    return weights


def _embedding(name: str, embedding: nn.Module) -> Weights:
    if isinstance(embedding, NotesOverConditions):
        conditions = _tables(f"{name.rpartition('.')[0]}.conditions", embedding.conditions)
        return _embedding(name, embedding.notes) | conditions
    if isinstance(embedding, NoteSetEmbedding):
        sounding = {f"{name}.sounding": embedding.sounding.pitches.weight}
        return _notes(f"{name}.notes", embedding.notes) | sounding
    assert isinstance(embedding, StepEmbedding)
    return _tables(name, embedding)


def _tables(name: str, embedding: StepEmbedding | Notes) -> Weights:
    weights: Weights = {}
    for number, channel in enumerate(embedding.channels):
        weights |= _table(f"{name}.{number}.table", channel)
    return weights


def _table(name: str, channel: Any) -> Weights:
    """The vectors of a channel's tokens, and those that subsets share with their members."""
    shared = isinstance(channel.members, Members)
    return {name: channel.weight} | ({f"{name}.members": channel.members.vectors} if shared else {})


def _notes(name: str, notes: Notes) -> Weights:
    return _tables(name, notes) | _linear(f"{name}.mix", notes.mix)


# The decoder


def decoder_weights(decoder: FlatDecoder) -> Weights:
    """Its embeddings, its LSTMs, what its code sets, and its heads."""
    weights = _embedding("embedding", decoder.embedding) | {"start": decoder.start}
    if decoder.conditions is not None:
        weights |= _tables("conditions", decoder.conditions)
    for number, layer in enumerate(decoder.layers):
        weights |= _lstm(f"layers.{number}", layer)
    if isinstance(decoder, HierarchicalDecoder):
        weights |= _both_ways("conductor", decoder.conductor)
    if isinstance(decoder, MusicVAEDecoder):
        for number in range(decoder.conductor.num_layers):
            weights |= _lstm(f"conductor.{number}", decoder.conductor, f"l{number}")
        weights |= _linear("conductor_state", decoder.conductor_state)
    for name in ("initial_state", "skip", "project"):
        weights |= _linear(name, getattr(decoder, name))
    return weights | _heads(decoder.heads)


def _linear(name: str, linear: nn.Module | None) -> Weights:
    """The weights of a linear layer; none of an identity."""
    if linear is None:
        return {}
    return {f"{name}.{kind}": weight for kind, weight in linear.named_parameters()}


def _heads(heads: ChannelHeads | NoteHeads) -> Weights:
    weights: Weights = {}
    for number, softmax in enumerate(heads.logits):
        weights |= _softmax(f"heads.logits.{number}", softmax)
    for number, table in enumerate(heads.embeddings):
        weights |= _table(f"heads.embeddings.{number}.table", table)
    for number, mixer in enumerate(heads.mixers):
        weights |= _linear(f"heads.mixers.{number}", mixer)
    if isinstance(heads, NoteHeads):
        weights |= _notes("heads.notes", heads.notes)
        weights |= _linear("heads.from_step", heads.from_step)
        weights |= _linear("heads.from_below", heads.from_below)
        weights["heads.from_last"] = heads.from_last.vectors()
    return weights


def _softmax(name: str, softmax: Any) -> Weights:
    if isinstance(softmax, SoftmaxMixture):
        parts = _linear(f"{name}.contexts", softmax.contexts)
        return parts | _linear(f"{name}.priors", softmax.priors) | _softmax(name, softmax.output)
    if isinstance(softmax, Nade):
        return {f"{name}.{kind}": weight for kind, weight in softmax.named_parameters()}
    assert isinstance(softmax, Softmax)
    return _table(f"{name}.weight", softmax) | {f"{name}.bias": softmax.bias}
