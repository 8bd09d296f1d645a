"""Sources -> a prepared corpus: find, read, split, tokenize, write."""

import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from seqvae.corpus.scores import prepare_scores
from seqvae.corpus.sources import find_sources, fingerprint_of
from seqvae.corpus.store import (
    ABOUT,
    SPLITS,
    Corpus,
    Numbers,
    SourceRow,
    drop_leaks,
    replaced_folder,
    write_corpus,
)
from seqvae.corpus.texts import prepare_texts
from seqvae.errors import InputError
from seqvae.tokenizers import make_tokenizer
from seqvae.training.config import Config

logger = logging.getLogger(__name__)


def prepare(config: Config) -> Corpus:
    """The prepared corpus of a config; made only where source, tokenizer or settings changed.

    Raises:
        InputError: there are no sources, or too few of them can be used.
    """
    data = config.data
    folder = Path(data.corpus or f"corpora/{config.name}").expanduser()
    tokenizer = make_tokenizer(data.tokenizer)
    sources = find_sources(data, tokenizer)
    fingerprint = fingerprint_of(data, sources)
    if (folder / ABOUT).is_file():
        try:
            corpus = Corpus(folder)
            if corpus.fingerprint == fingerprint:
                logger.info("%s: unchanged, %s", folder, _describe(corpus))
                return corpus
            logger.warning("%s: made from another source or settings; it is replaced", folder)
        except InputError as error:
            logger.warning("%s", error)  # it is about to be prepared again
    elif folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(f"{folder}: holds other files; name another folder with data.corpus")
    with replaced_folder(folder) as beside:
        if tokenizer.modality == "text":
            spool, splits, manifest = prepare_texts(data, tokenizer, sources, beside)
        else:
            spool, splits, manifest = prepare_scores(data, tokenizer, sources, beside)
        splits, num_leaked = drop_leaks(spool.digests, splits, drop=data.dedupe)
        _require_all_splits(splits, manifest)
        write_corpus(
            beside,
            spool=spool,
            splits=splits,
            manifest=manifest,
            fingerprint=fingerprint,
            num_leaked=num_leaked,
            deduped=data.dedupe,
        )
    corpus = Corpus(folder)
    for line in summary(manifest):
        logger.info(line)
    logger.info("%s: %s", folder, _describe(corpus))
    return corpus


def _describe(corpus: Corpus) -> str:
    counts = ", ".join(f"{count} {name}" for name, count in corpus.num_sequences.items())
    leaked = ", ".join(f"{corpus.num_leaked[name]} of {name}" for name in SPLITS[1:])
    done = "dropped" if corpus.deduped else "kept; --dedupe drops them"
    return f"sequences {counts}; verbatim in an earlier split ({done}): {leaked}"


def _require_all_splits(splits: dict[str, Numbers], manifest: list[SourceRow]) -> None:
    empty = [name for name in SPLITS if not len(splits[name])]
    if not empty:
        return
    reasons = [line for line in summary(manifest) if not line.startswith("sources used")]
    why = f" ({'; '.join(reasons)})" if reasons else ""
    raise InputError(
        f"no sequences for {', '.join(empty)}: {len(manifest)} sources gave "
        f"{sum(map(len, splits.values()))}{why}; "
        "give at least 3 usable sources, or all of data.train, data.valid and data.test"
    )


def summary(manifest: Iterable[SourceRow]) -> list[str]:
    """One line per reason, with its count."""
    used, refused, dropped = 0, Counter[str](), Counter[str]()
    for row in manifest:
        if row.reason is None:
            used += 1
        else:
            refused[row.reason] += 1
        dropped.update(row.dropped)
    lines = [f"sources used: {used}"]
    lines += [f"sources that gave nothing: {n}: {reason}" for reason, n in refused.most_common()]
    lines += [f"left out: {n} times: {reason}" for reason, n in dropped.most_common()]
    return lines
