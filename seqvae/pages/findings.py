"""What the figures of a model say, in sentences for people who know none of their names."""

import math
from collections.abc import Mapping
from typing import Any

from seqvae.tokenizers import AnyTokenizer
from seqvae.tokenizers.groove import TAP_VIEWS
from seqvae.training.collapse import COLLAPSED_MI

OF_SAMPLES = {  # a figure of samples beside that of real music
    "scale_share": "Of the notes of its samples, {:.0%} keep to one scale (real music: {:.0%}).",
    "self_similarity": "A bar of its samples is {:.0%} like the one before (real music: {:.0%}).",
    "copied": "Of the bars of its samples, {:.0%} stand in the training data as they are "
    "(real music that it does not know: {:.0%}).",
}
GUIDE = "configs/README.md tells what to do"


def hears_taps(tokenizer: AnyTokenizer) -> bool:
    """Whether a model hears when something is struck, and not on which drum: it has to guess."""
    return getattr(tokenizer, "encoder_sees", None) in TAP_VIEWS


def findings(figures: Mapping[str, Any], modality: str, *, of_taps: bool = False) -> list[str]:
    """Sentences on figures by their names in `Evaluation`, those of held-out data."""
    told = [quality(figures, modality, of_taps=of_taps), _code(figures, modality)]
    for name, sentence in OF_SAMPLES.items():
        if name in figures:
            ours, real = figures[name]
            told.append(sentence.format(ours, real))
    return [sentence for sentence in told if sentence]


def quality(figures: Mapping[str, Any], modality: str, *, of_taps: bool = False) -> str:
    """How much of what goes through a code comes back."""
    if "onset_f1" in figures:
        share = math.floor(10 * figures["onset_f1"])
        if of_taps:
            return f"From taps alone, it finds {share} of 10 hits of drummers it has never heard."
        return f"Play it music that it has never heard, and {share} of 10 notes come back."
    if "accuracy_free_running" not in figures:
        return ""
    share = math.floor(10 * figures["accuracy_free_running"])
    if modality == "music":
        return f"Play it music that it has never heard, and {share} of 10 steps come back."
    whole = ""
    if "exact_match" in figures:
        whole = f"; {figures['exact_match']:.0%} of such lines come back whole"
    return f"Give it a line that it has never read, and {share} of 10 pieces come back{whole}."


def _code(figures: Mapping[str, Any], modality: str) -> str:
    """How much a code holds."""
    if "kl" not in figures:
        return ""
    one = "a window of music" if modality == "music" else "a line"
    bits = f"The code of {one} holds {figures['kl'] / math.log(2):.0f} bits"
    if not {"active_units", "latent_dim"} <= figures.keys():
        return f"{bits}."
    return f"{bits}, in {figures['active_units']:.0f} of {figures['latent_dim']:.0f} dimensions."


def warnings(figures: Mapping[str, Any], *, of_taps: bool = False) -> list[str]:
    """What whoever uses the model should know before.

    From taps nothing comes back as it was, so that no constant answer is a measure.
    """
    told = []
    least = min(COLLAPSED_MI, figures.get("mi_aggregate_ceiling", math.inf) / 2)
    if figures.get("active_units", 1) == 0 or figures.get("mi_aggregate", math.inf) < least:
        told.append(f"Codes say next to nothing: the decoder writes without them. {GUIDE}.")
    accuracy = figures.get("accuracy_free_running", 1.0)
    if accuracy <= figures.get("accuracy_constant", 0.0) and not of_taps:
        told.append(
            "What comes back is no better than the same answer every time: the model needs a "
            "longer training, or more data."
        )
    return told
