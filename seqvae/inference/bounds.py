"""Scales of what is drawn: which pitch classes a window may have, and which tokens these are.

Pitches are those that the model writes, which a window may have moved from those that are heard.

Axes: B windows, V vocabulary of a channel.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool
from numpy.typing import NDArray
from torch import Tensor

from seqvae.errors import InputError
from seqvae.inference.clips import Clip
from seqvae.music.keys import NUM_PITCHES
from seqvae.music.notes import Key
from seqvae.music.scales import AUTO, Scale
from seqvae.tokenizers.keys import KeySettings


def allowed_tokens(
    tokenizer: KeySettings, pitch_classes: Sequence[NDArray[np.bool_]], device: torch.device
) -> dict[int, Bool[Tensor, "B V"]]:
    """What `decoding` allows so that the notes of each window are of these pitch classes (12,).

    Raises:
        InputError: the tokenizer cannot keep drums out of it.
    """
    pitches = np.arange(NUM_PITCHES) % 12
    within = [tokenizer.tokens_within(classes[pitches]) for classes in pitch_classes]
    return {
        channel: torch.from_numpy(np.stack([each[channel] for each in within])).to(device)
        for channel in within[0]
    }


def pitch_classes_of(
    clip: Clip, scale: Scale, key: Key | None, found: Scale | None
) -> tuple[NDArray[np.bool_], Scale]:
    """What the notes of a clip may be for its outputs to be heard in a scale, and that scale.

    `key` is the one that is asked for, and `found` the scale of the clip as the model reads it.

    Raises:
        InputError: neither tells what the scale leaves open.
    """
    moved = clip.windows[0].moved
    if found is not None and scale.is_open and key is None:
        assert found.key is not None
        read = found if scale.name == AUTO else scale.on(found.key)
        assert read.tonic is not None
        return read.pitch_classes(), Scale(read.name, (read.tonic - moved) % 12)
    if scale.is_open and key is None:
        raise InputError(
            f"scale is {scale}, and there is no input to find its key in: write a tonic before it, "
            "as in 'D dorian', or name the key with --key"
        )
    heard = scale if key is None else scale.on(key)
    return np.roll(heard.pitch_classes(), moved), heard
