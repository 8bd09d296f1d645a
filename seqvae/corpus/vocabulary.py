"""The tokenizer of a corpus before it is prepared: with the vocabulary of a model, or without."""

from seqvae.corpus.config import DataConfig
from seqvae.errors import InputError, shown
from seqvae.files import expanded
from seqvae.shipped import find_model
from seqvae.tokenizers import TOKENIZER_FILE, AnyTokenizer, load_tokenizer, make_tokenizer


def tokenizer_of(data: DataConfig) -> AnyTokenizer:
    """The tokenizer of these settings; a vocabulary that `data.vocabulary` names is in it.

    Raises:
        InputError: the tokenizer learns no vocabulary, or that model has another one.
    """
    wanted = make_tokenizer(data.tokenizer)
    if data.vocabulary is None:
        return wanted
    if not wanted.learned:
        raise InputError(f"data.vocabulary is set, but {wanted.kind} tokens have none to learn")
    folder = find_model(expanded(data.vocabulary))
    inside = folder / "bundle"
    tokenizer = load_tokenizer(inside if (inside / TOKENIZER_FILE).is_file() else folder)
    saved, chosen = tokenizer.of_tokens(), wanted.of_tokens()
    for name in chosen:
        if name not in wanted.learned and saved.get(name) != chosen[name]:
            raise InputError(
                f"data.tokenizer.{name} is {shown(chosen[name])}, but the vocabulary of "
                f"{data.vocabulary} has {shown(saved.get(name))}; leave it out"
            )
    return tokenizer
