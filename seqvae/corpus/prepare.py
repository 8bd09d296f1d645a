"""Sources -> a prepared corpus: find, read, split, tokenize, write."""

import contextlib
import logging
from dataclasses import replace
from pathlib import Path

from seqvae.corpus.config import DataConfig
from seqvae.corpus.digests import Digests
from seqvae.corpus.scores import prepare_scores
from seqvae.corpus.sources import Sources, find_sources, fingerprint_of, has_sources, in_words
from seqvae.corpus.spool import Chosen, Unusable, drop_leaks, write_corpus
from seqvae.corpus.store import ABOUT, MANIFEST, SPLITS, Corpus, SourceRow, write_manifest
from seqvae.corpus.summary import left_out_of, summary
from seqvae.corpus.texts import prepare_texts
from seqvae.corpus.vocabulary import tokenizer_of
from seqvae.corpus.workers import end_import_by_worker
from seqvae.disk import only_writer, remove_leftovers, replaced_folder
from seqvae.errors import MAX_MESSAGE, InputError, shown
from seqvae.reasons import amount, ranked
from seqvae.tokenizers import AnyTokenizer, make_tokenizer

MIN_TOLD = 1000  # sequences of a corpus whose splits should have the sizes that are asked for

logger = logging.getLogger(__name__)


def prepare(data: DataConfig, folder: Path) -> Corpus:
    """The prepared corpus in `folder`; made only if sources, tokenizer or settings have changed.

    Where the settings name no sources, a corpus that was prepared before is taken as it is.

    Raises:
        InputError: there are no sources, too few of them are usable, or the folder holds other
            files or the corpus of another tokenizer.
    """
    if not has_sources(data) and (folder / ABOUT).is_file():
        return _as_it_is(data, folder)
    end_import_by_worker()  # which would wait for the lock of its parent
    tokenizer = tokenizer_of(data)
    sources = find_sources(data, tokenizer)
    digests = Digests(folder)
    fingerprint = fingerprint_of(data, sources, digests)
    corpus = _unchanged_corpus(folder, fingerprint)
    if corpus is None:
        with only_writer(folder, wait=True):
            # Another process may have made it while this one waited.
            corpus = _unchanged_corpus(folder, fingerprint, tell=True)
            if corpus is None:
                replaces = _is_readable(folder)
                corpus = _made(data, folder, tokenizer, sources, fingerprint, digests)
                if replaces:
                    logger.warning("%s: a corpus of other sources or settings was replaced", folder)
                return corpus
    remove_leftovers(folder.resolve())
    if digests.has_new:
        with contextlib.suppress(OSError):  # they only save time
            digests.keep(folder)
    logger.info("%s: unchanged, %s", folder, _describe(corpus))
    return open_prepared(data, folder)


def _as_it_is(data: DataConfig, folder: Path) -> Corpus:
    """A corpus that may have been prepared elsewhere.

    Raises:
        InputError: its tokenizer has other settings.
    """
    corpus, tokenizer = Corpus(folder), make_tokenizer(data.tokenizer)
    made, wanted = corpus.tokenizer.of_tokens(), tokenizer.of_tokens()
    for name in wanted:  # the kind comes first
        if name not in tokenizer.learned and made.get(name) != wanted[name]:
            raise InputError(
                f"{folder}: prepared with {name} {shown(made.get(name))}, here it is "
                f"{shown(wanted[name])}; give data.source to prepare it again"
            )
    logger.info("%s: taken as it is, %s", folder, _describe(corpus))
    return open_prepared(data, folder)


def open_prepared(data: DataConfig, folder: Path) -> Corpus:
    """A prepared corpus, whose tokenizer makes batches as the settings say.

    Raises:
        InputError: the folder holds no prepared corpus, or a damaged one.
    """
    corpus, tokenizer = Corpus(folder), make_tokenizer(data.tokenizer)
    chosen = {name: getattr(tokenizer, name) for name in tokenizer.of_batches}
    corpus.tokenizer = replace(corpus.tokenizer, **chosen)
    return corpus


def _made(
    data: DataConfig,
    folder: Path,
    tokenizer: AnyTokenizer,
    sources: Sources,
    fingerprint: str,
    digests: Digests,
) -> Corpus:
    """A corpus that takes the place of the one before."""
    with replaced_folder(folder) as beside:
        if tokenizer.modality == "text":
            try:
                splits, manifest = prepare_texts(data, tokenizer, sources, beside)
            except Unusable as error:
                _keep_manifest(error.manifest, folder)
                raise
        else:
            splits, manifest = prepare_scores(data, tokenizer, sources, beside)
        splits, num_leaked = drop_leaks(splits, drop=data.dedupe)
        _require_all_splits(splits, manifest, folder)
        if "source" in sources.splits:
            _warn_of_shares(splits, data)
        write_corpus(
            beside,
            splits=splits,
            manifest=manifest,
            fingerprint=fingerprint,
            num_leaked=num_leaked,
            deduped=data.dedupe,
            label=data.label_column,
        )
        digests.keep(beside)
    _manifest_beside(folder).unlink(missing_ok=True)
    corpus = Corpus(folder)
    if sources.passed_over:
        logger.info("passed over: %s", in_words(sources.passed_over))
    for line in summary(manifest):
        logger.info(line)
    logger.info("%s: %s", folder, _describe(corpus))
    return corpus


def _unchanged_corpus(folder: Path, fingerprint: str, *, tell: bool = False) -> Corpus | None:
    """The corpus in the folder, if it has this fingerprint; None if it is to be made.

    It may `tell` why in a warning.

    Raises:
        InputError: the folder holds something else than a corpus.
    """
    if not (folder / ABOUT).is_file():
        if folder.exists() and not (
            folder.is_dir() and {p.name for p in folder.iterdir()} <= {MANIFEST}
        ):
            raise InputError(f"{folder}: holds other files; name another folder with data.corpus")
        return None
    try:
        corpus = Corpus(folder)
    except InputError as error:
        if tell:
            logger.warning("%s", error)  # it is about to be prepared again
        return None
    return corpus if corpus.fingerprint == fingerprint else None


def _is_readable(folder: Path) -> bool:
    """Whether there is a corpus that a new one replaces; a damaged one is told before."""
    try:
        Corpus(folder)
    except InputError:
        return False
    return True


def _describe(corpus: Corpus) -> str:
    counts = ", ".join(f"{count} {name}" for name, count in corpus.num_sequences.items())
    leaked = ", ".join(f"{corpus.num_leaked[name]} of {name}" for name in SPLITS[1:])
    done = "dropped" if corpus.deduped else "kept; --dedupe drops them"
    return f"sequences {counts}; verbatim in an earlier split ({done}): {leaked}"


def _require_all_splits(splits: dict[str, Chosen], manifest: list[SourceRow], folder: Path) -> None:
    """Refuse to go on without sequences, and say in a manifest what became of all sources."""
    empty = [name for name in SPLITS if not len(splits[name])]
    if not empty:
        return
    file = _keep_manifest(manifest, folder)
    reasons = [
        f"{amount(count, reason.unit)}: {reason}" for reason, count in ranked(left_out_of(manifest))
    ]
    parts = [
        f"no sequences for {', '.join(empty)}: {amount(len(manifest), 'source')} gave "
        f"{sum(map(len, splits.values()))}",
        *reasons[:1],
        f"{file} has all reasons",
    ]
    remedy = "give at least 3 usable sources, or all of data.train, data.valid and data.test"
    for more in (remedy, *reasons[1:]):
        if len("; ".join([*parts, more])) <= MAX_MESSAGE:
            parts.insert(-1, more)
    raise InputError("; ".join(parts))


def _warn_of_shares(splits: dict[str, Chosen], data: DataConfig) -> None:
    """Say so if few sources, which are split whole, leave a split far from its share."""
    total = sum(map(len, splits.values()))
    for split, share in (("valid", data.valid_share), ("test", data.test_share)):
        size, wanted = len(splits[split]), share * total
        if total >= MIN_TOLD and not wanted / 2 <= size <= wanted * 2:
            logger.warning(
                "%d of %d sequences are for %s, not a share of %g (data.%s_share): sources are "
                "split whole; give more of them, or data.train, data.valid and data.test",
                size, total, split, share, split,
            )  # fmt: skip


def _keep_manifest(manifest: list[SourceRow], folder: Path) -> Path:
    """Write a manifest where the corpus would be, or beside the one that stays; the file."""
    if (folder / ABOUT).is_file():
        file = _manifest_beside(folder)
    else:
        file = folder / MANIFEST
        folder.mkdir(parents=True, exist_ok=True)
    write_manifest(manifest, file)
    return file


def _manifest_beside(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.{MANIFEST}")
