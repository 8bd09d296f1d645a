"""Sources -> a prepared corpus: find, read, split, tokenize, write."""

import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from seqvae.corpus.config import DataConfig
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

logger = logging.getLogger(__name__)


def prepare(data: DataConfig, folder: Path) -> Corpus:
    """The prepared corpus in `folder`; made only if sources, tokenizer or settings have changed.

    Raises:
        InputError: there are no sources, too few of them are usable, or the folder holds other
            files.
    """
    tokenizer = make_tokenizer(data.tokenizer)
    sources = find_sources(data, tokenizer)
    fingerprint = fingerprint_of(data, sources)
    corpus = _unchanged_corpus(folder, fingerprint)
    if corpus is not None:
        logger.info("%s: unchanged, %s", folder, _describe(corpus))
        return corpus
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


def _unchanged_corpus(folder: Path, fingerprint: str) -> Corpus | None:
    """The corpus in the folder, if it has this fingerprint; None if it is to be made.

    Raises:
        InputError: the folder holds something else than a corpus.
    """
    if not (folder / ABOUT).is_file():
        if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
            raise InputError(f"{folder}: holds other files; name another folder with data.corpus")
        return None
    try:
        corpus = Corpus(folder)
    except InputError as error:
        logger.warning("%s", error)  # it is about to be prepared again
        return None
    if corpus.fingerprint == fingerprint:
        return corpus
    logger.warning("%s: made from other sources or settings; it is replaced", folder)
    return None


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
    """The number of usable sources, and a line per reason, with its count."""
    num_used, refused, dropped = 0, Counter[str](), Counter[str]()
    for row in manifest:
        if row.reason is None:
            num_used += 1
        else:
            refused[row.reason] += 1
        dropped.update(row.dropped)
    lines = [f"sources used: {num_used}"]
    lines += [f"sources that gave nothing: {n}: {reason}" for reason, n in refused.most_common()]
    lines += [f"left out: {n} times: {reason}" for reason, n in dropped.most_common()]
    return lines
