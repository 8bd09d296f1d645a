"""How much is enough: what to do with little data instead of a training from nothing."""

import logging

from seqvae.corpus.store import Corpus
from seqvae.reasons import amount
from seqvae.shipped import models
from seqvae.tokenizers import AnyTokenizer, load_tokenizer
from seqvae.training.config import Config

ENOUGH = 500  # training sequences; far fewer are learned by heart

logger = logging.getLogger(__name__)


def warn_of_few(config: Config, corpus: Corpus) -> None:
    """Say so if a training from nothing has few sequences, and name what goes further."""
    number = corpus.num_sequences["train"]
    if config.trainer.init_from is not None or number >= ENOUGH:
        return
    base = base_for(corpus.tokenizer)
    what = "sentence" if corpus.tokenizer.modality == "text" else "window"
    few = f"{amount(number, what)} to train on are few; fresh weights learn them by heart"
    if base is None:
        logger.warning("%s. Give hundreds, or begin from a model of more data: --init_from", few)
        return
    place = config.data.source if isinstance(config.data.source, str) else "YOUR_FILES"
    logger.warning(
        "%s. In a minute seqvae personal %s %s --name mine makes more of them", few, base, place
    )


def base_for(tokenizer: AnyTokenizer) -> str | None:
    """The model that ships and reads what this tokenizer reads, if there is one.

    The words of a text may be others: those of the model stay.
    """
    for name, bundle in models().items():
        other = load_tokenizer(bundle)
        same_steps = bool(tokenizer.learned) or other.steps == tokenizer.steps
        if other.kind == tokenizer.kind and same_steps and _view(other) == _view(tokenizer):
            return name
    return None


def _view(tokenizer: AnyTokenizer) -> str | None:
    """What the encoder sees of a groove."""
    return getattr(tokenizer, "encoder_sees", None)
