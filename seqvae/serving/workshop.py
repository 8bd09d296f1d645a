"""Models of visitors' own: `seqvae personal` in a process of its own, for one visitor at a time.

The process yields the processor to all others, tells how far it is, and ends when the visitor
cancels, when its time is over, or with the page. The clips are gone when it ends.
"""

import contextlib
import multiprocessing
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from tqdm import tqdm

from seqvae.corpus.workers import end_with_parent, prepare_to_start
from seqvae.errors import InputError
from seqvae.inference.cards import CARD, read_card
from seqvae.inference.outputs import output_names
from seqvae.inference.trained import TrainedVAE
from seqvae.model.watching import Watcher, watched_by
from seqvae.reasons import amount
from seqvae.serving.answers import frame, new_folder, sentences, written
from seqvae.serving.desk import Desk, warnings_here, without_flags
from seqvae.serving.waiting import Cancelled
from seqvae.shipped import models
from seqvae.stops import held_back
from seqvae.training.personal import Personal, make_personal

NICE = 10  # by which others are preferred
POLL_SECONDS = 0.2  # from one look at the visitor's wish to the next
NUM_SAMPLES = 6
LINES = "sentences.txt"


@dataclass(frozen=True)
class Most:
    """What one model may take."""

    clips: int = 100
    """Files, or lines of text."""
    bytes: int = 10_000_000
    """Of all of them."""
    seconds: float = 600.0


@dataclass(frozen=True)
class Order:
    """What a process is to make."""

    bundle: Path
    base: str
    """What the bundle is called."""
    clips: Path
    place: Path
    """Where the archive and the samples go."""


@dataclass(frozen=True)
class Made:
    """What came of it."""

    told: str
    """Markdown: how likely held-out clips are under the base, the new model, and a fresh one."""
    samples: str
    """HTML to hear clips, or sentences."""
    files: list[Path]
    """MIDI files of the samples; none of sentences."""
    archive: Path
    """The bundle."""
    warnings: list[str]


def bases(desk: Desk, name: str) -> dict[str, Path]:
    """The models to begin from: that of the page first, then those that ship and take the same."""
    own = desk.vae.bundle
    if own is None or not desk.vae.model.config.latent_dim:
        return {}
    tag = "midi" if desk.is_music else desk.vae.tokenizer.modality
    others = {
        each: bundle
        for each, bundle in models().items()
        if each != name and tag in read_card(bundle / CARD)[0].get("tags", ())
    }
    return {name: own} | others


class Workshop:
    """Makes models of visitors' own, within limits."""

    def __init__(self, desk: Desk, name: str, folder: Path, most: Most | None = None) -> None:
        """`name` is that of the page's model; what visitors get lies in `folder`."""
        self.desk, self.folder, self.most = desk, folder, most or Most()
        self.bases = bases(desk, name)

    def make(self, base: str, given: Sequence[str], *, visitor: str, watcher: Watcher) -> Made:
        """A model that moves from a base towards clips or sentences.

        Args:
            base: One of `bases`.
            given: Paths of uploads, or sentences.
            visitor: Whose `cancel` at the desk ends it.
            watcher: Is told how many of the models that are tried are judged.

        Raises:
            InputError: something is wrong with the request; no path is in the message.
            Cancelled: the visitor does not want it any more.
        """
        if base not in self.bases:
            raise InputError(f"no model {base!r}; there are {', '.join(self.bases)}")
        self._check(given)
        place = new_folder(self.folder)
        with (
            tempfile.TemporaryDirectory(dir=self.folder, prefix="clips_") as name,
            self.desk.waiting.request_of(visitor) as stop,
        ):
            clips = Path(name)
            lay_out(given, clips, is_music=self.desk.is_music)
            order = Order(self.bases[base], base, clips, place)
            return in_a_process(order, stop, watcher, self.most.seconds)

    def _check(self, given: Sequence[str]) -> None:
        if not 0 < len(given) <= self.most.clips:
            raise InputError(
                f"give 1 to {amount(self.most.clips, self.desk.what)}; there "
                f"{'is' if len(given) == 1 else 'are'} {len(given)}"
            )
        sizes = (
            Path(each).stat().st_size if self.desk.is_music else len(each.encode())
            for each in given
        )
        if (total := sum(sizes)) > self.most.bytes:
            raise InputError(
                f"{total / 1e6:.1f} MB in all; here they are at most {self.most.bytes / 1e6:g} MB"
            )


def lay_out(given: Sequence[str], clips: Path, *, is_music: bool) -> None:
    """Put uploads or sentences into a folder, in their order; equal names do no harm."""
    if not is_music:
        (clips / LINES).write_text("\n".join(given) + "\n", encoding="utf-8")
        return
    for number, upload in enumerate(map(Path, given)):
        (clips / f"{number:03}").mkdir()
        shutil.copyfile(upload, clips / f"{number:03}" / upload.name)


def in_a_process(order: Order, stop: threading.Event, watcher: Watcher, seconds: float) -> Made:
    """What a process makes that ends when this function does."""
    prepare_to_start()
    context = multiprocessing.get_context("spawn")
    pipe, remote = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(remote, order), daemon=True)
    with held_back():
        process.start()
    remote.close()
    try:
        return heard(pipe, stop, watcher, seconds)
    finally:
        process.kill()
        process.join()
        process.close()
        pipe.close()


def heard(pipe: Connection, stop: threading.Event, watcher: Watcher, seconds: float) -> Made:
    """What comes through the pipe: steps, and then the result or a mistake."""
    deadline = time.monotonic() + seconds
    while not stop.is_set():
        if time.monotonic() > deadline:
            raise InputError(f"not done after {seconds:g} seconds; give fewer or shorter clips")
        if not pipe.poll(POLL_SECONDS):
            continue
        try:
            message = pipe.recv()
        except EOFError:
            raise InputError("it ended before it was done; try again with fewer clips") from None
        if isinstance(message, Made):
            return message
        if isinstance(message, InputError):
            raise message
        watcher(*message)
    raise Cancelled


# In the process


def _work(pipe: Connection, order: Order) -> None:
    """Make what is ordered, and send it."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    with contextlib.suppress(AttributeError, OSError):  # not everywhere
        os.nice(NICE)
    torch.set_num_threads(1)  # the others are for other visitors
    tqdm.set_lock(threading.RLock())  # its own would outlive a process that is killed
    try:
        pipe.send(made(order, lambda *step: pipe.send(step)))
    except InputError as error:
        pipe.send(error)


def made(order: Order, watcher: Watcher) -> Made:
    """The model as a bundle in an archive, how good it is, and samples of it.

    Raises:
        InputError: the clips are too few; no path is in the message.
    """
    name = f"my_{order.base}"
    bundle = order.place / name
    vae = TrainedVAE.load(order.bundle, "cpu")
    try:
        with watched_by(watcher), warnings_here() as warnings:
            personal = make_personal(
                str(order.bundle), [str(order.clips)], vae.codec, str(bundle), called=order.base
            )
    except InputError as error:
        raise InputError(_without_places(str(error), order.clips)) from None
    archive = Path(shutil.make_archive(str(bundle), "zip", order.place, name))
    samples = TrainedVAE.load(bundle, "cpu").sample(NUM_SAMPLES, seed=0)
    shutil.rmtree(bundle)
    told = comparison(personal, order.base, name)
    warned = [_without_places(each, order.clips) for each in warnings]
    if vae.tokenizer.modality == "text":
        return Made(told, sentences(samples), [], archive, warned)
    files = written(samples, order.place, output_names(name, [], len(samples)))
    return Made(told, frame(vae.tokenizer, files, name), files, archive, warned)


def comparison(personal: Personal, base: str, name: str) -> str:
    """Markdown: what became of the base, and how good that is."""
    figures = personal.comparison
    return f"""{personal.told(base, name)}.

{figures.markdown(base, name)}

Fewer nats are better: the model expects clips such as yours more.
{figures.num_likelier} of {amount(figures.num_clips, "clip")} that were held out are likelier than
under the base."""


def _without_places(message: str, clips: Path) -> str:
    """A message in which clips have their names alone."""
    message = re.sub(re.escape(f"{clips}{os.sep}") + r"(\d+[/\\])?", "", message)
    message = message.replace(str(clips), "what you gave")
    return without_flags(message)
