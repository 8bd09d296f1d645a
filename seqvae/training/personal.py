"""A model of one's own from few clips: a base whose decoder and prior move towards them.

How far they move is decided by clips that are held out by turns, and so is whether they move at
all. The encoder stays, so codes keep their meaning.

Axes: I priors, J decoders, N clips, Z latent.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from seqvae.disk import door, only_writer, read_json, replaced_folder, write_file
from seqvae.errors import InputError
from seqvae.files import expanded
from seqvae.inference.bundle import CONFIG, COPY, bundle_in, save_weights
from seqvae.inference.cards import CARD, as_card, read_card
from seqvae.inference.codec import AS_IS, Codec
from seqvae.inference.mixture import Mixture
from seqvae.inference.options import Reading, check_seed
from seqvae.inference.prior import augmented, load_prior, save_prior
from seqvae.inference.slices import SlicePrior
from seqvae.model.latent import DiagonalGaussian
from seqvae.model.vae import SequenceVAE
from seqvae.model.watching import tell
from seqvae.reasons import amount
from seqvae.tokenizers import save_tokenizer
from seqvae.training.adaptation import (
    DECODER_STEPS,
    SCRATCH_STEPS,
    decoders,
    from_scratch,
    priors,
)
from seqvae.training.few_clips import Clips, noun, read_clips
from seqvae.training.judge import Judge
from seqvae.training.turns import turns

NUM_DRAWS, FEWEST, MOST = 1200, 5, 50  # by which likelihoods are estimated: in all, and of a clip
PLACES = ("source", "train", "valid", "test", "table", "corpus")  # of the data of a base
READINGS = 8  # of each clip, augmented as in training, that the prior learns from

AnyPrior = Mixture | SlicePrior
T = TypeVar("T")


@dataclass(frozen=True)
class Comparison:
    """-log p(x) in nats of clips, each of which was held out, on average.

    Each model is judged with the prior that its samples are drawn from.
    """

    num_clips: int
    base: float
    personal: float
    scratch: float
    """The same network after the best number of steps from fresh weights, with N(0, I)."""
    num_likelier: int
    """Clips that are likelier under the personal model than under the base."""
    noun: str = "clip"
    """What one is called."""

    def table(self, base: str, name: str) -> str:
        """Text: a line for each model."""
        rows = {base: self.base, name: self.personal, "from scratch": self.scratch}
        width = max(map(len, rows))
        lines = [f"{label:<{width}} {nats:9.2f}" for label, nats in rows.items()]
        lines[1] += f"  likelier: {self.num_likelier} of {amount(self.num_clips, self.noun)}"
        each = f"each {self.noun} held out in turn"
        head = f"{each:<{width}} nats/{self.noun}, lower is better"
        return "\n".join([head, *lines, *filter(None, [self.warning(name)])])

    def markdown(self, base: str, name: str) -> str:
        """The same as a table of Markdown."""
        each = f"each {self.noun} held out in turn"
        table = f"""| -log p(x), {each} | nats per {self.noun}, lower is better |
|---|---|
| {base} | {self.base:.2f} |
| {name} | {self.personal:.2f} |
| the same network from scratch | {self.scratch:.2f} |"""
        return "\n\n".join([table, *filter(None, [self.warning(name)])])

    def warning(self, name: str) -> str:
        """A line for clips that the base is of no help with."""
        if self.scratch >= self.personal:
            return ""
        return (
            f"from scratch beats {name}: a model that seqvae train makes of these {self.noun}s "
            "alone is likely to be better"
        )


@dataclass(frozen=True, eq=False)
class Personal:
    """What was made of a base."""

    model: SequenceVAE
    prior: AnyPrior
    comparison: Comparison
    moved: tuple[str, ...]
    """What was moved: prior, decoder, both or nothing."""

    def told(self, base: str, name: str) -> str:
        """What became of the base, in one line."""
        if not self.moved:
            clips = f"{self.comparison.noun}s"
            return f"{name}: a copy of {base}; to move it made no held-out {clips} likelier"
        moved = " and ".join(self.moved)
        return f"{name}: done, {moved} adapted; try seqvae sample {name}"


class Progress:
    """How many of the models of all turns are judged: for the terminal, and for whoever watches."""

    def __init__(self, num_turns: int, noun: str) -> None:
        """None is, yet; `noun` is what a clip is called."""
        self.done = 0
        self.total = num_turns * (1 + len(DECODER_STEPS) + len(SCRATCH_STEPS))
        self.bar = tqdm(total=self.total, desc=f"{noun}s held out in turn", disable=None, delay=1)

    def through(self, models: Iterable[T]) -> Iterator[T]:
        """Models one after another; what a watcher raises ends all."""
        for model in models:
            tell(self.done, self.total)
            yield model
            self.done += 1
            self.bar.update()


def fit_personal(codec: Codec, prior: AnyPrior, clips: Clips, *, seed: int = 0) -> Personal:
    """Move the decoder and the prior of a base towards clips, as far as held-out ones gain by it.

    What the comparison says of a clip was chosen by the clips of the other turns. Whoever watches
    is told of each model that is judged (`seqvae.model.watching`).
    """
    num_draws = min(max(NUM_DRAWS // len(clips), FEWEST), MOST)
    held_out = turns(clips.sources)
    nats, scratch, progress = [], [], Progress(len(held_out), noun(codec))
    for numbers in held_out:
        rest = clips.some([i for i in range(len(clips)) if i not in numbers])
        judge = Judge(codec, clips.some(numbers).ids, num_draws, seed=seed)
        found = [*priors(prior, posterior_of(codec, rest, seed), seed=seed)]
        models = decoders(codec.model, codec.tokenizer, rest.split(), seed=seed)
        nats.append(judge.nats(progress.through(models), found))
        fresh = from_scratch(codec.model, codec.tokenizer, rest.split(), seed=seed)
        scratch.append(judge.nats_of_others(progress.through(fresh)))
    progress.bar.close()
    decoder, number = _best(torch.cat(nats, dim=-1))
    return Personal(
        _nth(decoders(codec.model, codec.tokenizer, clips.split(), seed=seed), decoder),
        _nth(priors(prior, posterior_of(codec, clips, seed), seed=seed), number),
        _compared(nats, float(torch.cat(scratch, dim=-1).mean(-1).min()), noun(codec)),
        tuple(name for name, steps in (("prior", number), ("decoder", decoder)) if steps),
    )


def posterior_of(codec: Codec, clips: Clips, seed: int) -> DiagonalGaussian:
    """The posteriors of clips, each augmented several times as in training."""
    examples = [
        example
        for reading in range(READINGS)
        for example in augmented(clips.split(), codec.tokenizer, seed=seed + reading)
    ]
    return codec.posterior(examples)


def _best(nats: Float[Tensor, "J I N"]) -> tuple[int, int]:
    """The decoder and the prior under which clips are likeliest."""
    decoder, prior = divmod(int(nats.mean(-1).argmin()), nats.shape[1])
    return decoder, prior


def _nth(path: Iterable[T], number: int) -> T:
    """What a path yields after so many others."""
    return next(itertools.islice(path, number, None))


def _compared(nats: list[Float[Tensor, "J I _"]], scratch: float, noun: str = "clip") -> Comparison:
    """The figures of each turn, with what the other turns chose."""
    chosen = []
    for turn, own in enumerate(nats):
        decoder, prior = _best(torch.cat([*nats[:turn], *nats[turn + 1 :]], dim=-1))
        chosen.append(own[decoder, prior])
    base, personal = torch.cat([own[0, 0] for own in nats]), torch.cat(chosen)
    return Comparison(
        num_clips=len(base),
        base=float(base.mean()),
        personal=float(personal.mean()),
        scratch=scratch,
        num_likelier=int((personal < base).sum()),
        noun=noun,
    )


def make_personal(
    base: str,
    places: Sequence[str],
    codec: Codec,
    name: str,
    *,
    reading: Reading = AS_IS,
    column: str | None = None,
    seed: int = 0,
    called: str | None = None,
) -> Personal:
    """Fit a model to the clips of some places, and write it to the folder `name` as a bundle.

    `codec` is that of the base, and `called` what the bundle calls the base, if not as here.

    Raises:
        InputError: there is something of that name, the base has no code, or the clips are too few.
    """
    folder, bundle = expanded(name), bundle_in(expanded(base))
    latent_dim = codec.model.config.latent_dim
    if latent_dim == 0:
        raise InputError(
            f"{base}: a language model (latent_dim 0), which has no code to begin from"
        )
    if folder.exists():
        raise InputError(f"{name}: there is something of this name; give another --name")
    check_seed(seed)
    clips = read_clips(codec, places, reading, column)
    with only_writer(folder):
        prior = load_prior(bundle, latent_dim) or Mixture.standard(latent_dim)
        made = fit_personal(codec, prior, clips, seed=seed)
        _write(folder, made, codec, bundle, called or base)
    return made


def _write(folder: Path, made: Personal, codec: Codec, bundle: Path, base: str) -> None:
    """Write a bundle with the settings of the base; where the data of the base lay is left out."""
    settings = read_json(bundle / CONFIG, COPY, training=dict[str, Any])["training"]
    with door(bundle / CONFIG, COPY):
        trainer = {**settings["trainer"], "init_from": base}
        data = {key: None if key in PLACES else each for key, each in settings["data"].items()}
    settings |= {"name": folder.name, "trainer": trainer, "data": data}
    with replaced_folder(folder) as beside:
        save_weights(beside, made.model, settings)
        save_tokenizer(codec.tokenizer, beside)
        save_prior(made.prior, beside)
        write_file(beside / CARD, card(made, base, folder.name, bundle))


def card(made: Personal, base: str, name: str, bundle: Path) -> str:
    """The model card: what it is made of, how good it is, and the licence of the base."""
    of_base = read_card(bundle / CARD)[0] if (bundle / CARD).is_file() else {}
    kept: dict[str, Any] = {key: of_base[key] for key in ("license", "tags") if key in of_base}
    figures = made.comparison
    moved = " and ".join(made.moved) or "no weights"
    clips = amount(figures.num_clips, figures.noun)
    body = f"""# {name}

`{base}`, adapted to {clips}: {moved} were fine-tuned. The encoder is
that of the base.

{figures.markdown(base, name)}

The licence of the weights follows from that of the base and that of the {figures.noun}s.
"""
    return as_card({"library_name": "seqvae", "base_model": base, **kept}, body)
