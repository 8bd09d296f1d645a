"""Options of the verbs: one frozen dataclass per verb, for `TrainedVAE` and the command line alike.

A field is a keyword argument and a flag; its docstring is the help of both. Fields that may stand
without their name come first. Neither torch nor pretty_midi is imported here, so that the command
line answers at once.
"""

import ast
import functools
import inspect
import itertools
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from numbers import Number
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeAlias, TypeVar

from seqvae.errors import (
    InputError,
    at_least,
    at_most,
    checked,
    listed,
    one_of,
    shown,
    within,
)
from seqvae.model.config import Sampling
from seqvae.music.notes import DEFAULT_QPM
from seqvae.reasons import amount

if TYPE_CHECKING:
    from jaxtyping import Float
    from numpy.typing import NDArray
    from torch import Tensor

    from seqvae.corpus.store import Corpus
    from seqvae.music.midi import MidiSource

    Source: TypeAlias = str | MidiSource
    Codes: TypeAlias = Float[Tensor, "N Z"] | NDArray[Any]
    CorpusSource: TypeAlias = Corpus | str | Path
else:  # at run time these types would cost the import of what they name
    Source = Codes = CorpusSource = Any

IW_SAMPLES = 500  # draws per sequence that the literature on text reports
SEED_END = 2**63  # torch takes no larger seeds
MAX_OUTPUTS, MAX_SIDE = 10**6, 10**3  # of one call; of a square
ONE_INPUT = ("start", "end", "source", "a", "b", "c")  # fields that take a clip or a sentence
INPUT_FIELDS = ("inputs", *ONE_INPUT)
OF_MUSIC = (  # fields that a model of text does without
    "qpm", "metre", "bar", "beats", "beats_metre", "chord_file", "tracks", "keep", "fill", "bars",
    "chords",
)  # fmt: skip
INPUTS = "give sentences, paths of MIDI files, or PrettyMIDI objects"

P = ParamSpec("P")
S = TypeVar("S")
O = TypeVar("O")  # noqa: E741  # options
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class Hearing:
    """How the tracks, chords and keys of a MIDI file are heard."""

    chord_file: str | None = None
    """Name of the chord file beside each MIDI file, such as chord_midi.txt."""
    tracks: str | None = None
    """Rules for which tracks are what, such as "drums: name=drum*; melody: highest; bass:
    channel=2"; by default those of the model. seqvae look shows how tracks are heard."""
    input_key: str | None = None
    """Key of the inputs, such as "E minor", where the one that seqvae look shows is wrong. It
    matters to models that read all clips in a common key."""


@dataclass(frozen=True, kw_only=True)
class Reading(Hearing):
    """How a MIDI file becomes windows."""

    bar: int | None = None
    """Take only the window that begins at this bar, counted from 1."""
    beats: str | None = None
    """Name of the beat file beside each MIDI file, such as beat_midi.txt, for performances whose
    own bars mean nothing; {stem} stands for the name of the MIDI file."""
    beats_metre: str | None = None
    """Metre of beat files that name none, such as 6/8, where a beat is a dotted quarter."""


@dataclass(frozen=True, kw_only=True)
class Coding(Reading):
    """How an input becomes codes."""

    refine: int = 0
    """Gradient steps that improve the code of an input, so that more of it comes back. Forty give
    most of the gain, in about half a second for a window of four bars."""


@dataclass(frozen=True, kw_only=True)
class Drawing(Sampling):
    """How outputs are drawn from codes."""

    temperature: float = 0.0
    """Divides the logits; 0 is greedy."""
    seed: int | None = None
    """Seed of all draws: the same command with the same seed, and the same -n, repeats its output
    exactly."""
    chords: str | None = None
    """Chords to play over, such as "C Am F G"; they share each window equally."""
    key: str | None = None
    """Key that the outputs are moved to, such as "E minor"; by default that of the input, if there
    is one. Between major and minor the relative key is taken: C major for A minor. Single notes may
    leave it; --scale keeps them inside."""
    scale: str | None = None
    """Scale that every written note stays in, such as "D dorian". Without a tonic, as "blues", it
    stands on that of --key or of the input; auto is the scale of that key."""

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        super().__post_init__()
        check_seed(self.seed)


@dataclass(frozen=True, kw_only=True)
class Look:
    """Show what files hold, how each track of MIDI files is heard, and what a model can shift."""

    files: Sequence[str | Path] = field(kw_only=False)
    """MIDI files, files of text, folders of either, or models, whose attributes are listed."""
    preset: str | Path | None = None
    """How a model of this config, run, bundle, corpus or kind (melody, drums, groove, trio,
    voices, polyphony) hears them; by default how one of each kind does."""
    tracks: str | None = None
    """Rules for which tracks are what, such as "drums: name=drum*; melody: highest; bass:
    channel=2"."""
    beats: str | None = None
    """Name of the beat file beside each MIDI file; {stem} stands for the name of the MIDI file."""
    beats_metre: str | None = None
    """Metre of beat files that do not say which beats are downbeats, such as 4/4."""
    column: str | None = None
    """The column of the text in tables: its name, or its number."""
    encoding: str | None = None
    """Encoding of texts, such as cp1252; by default UTF-8."""


@dataclass(frozen=True, kw_only=True)
class Encode(Coding):
    """Compute posteriors."""

    inputs: Source | Sequence[Source] = field(kw_only=False)
    """Sentences, or MIDI files."""


@dataclass(frozen=True, kw_only=True)
class Decode(Drawing):
    """Turn codes into sentences or clips."""

    z: Codes = field(kw_only=False)
    """Codes, one row per output: an array, and on the command line a file that encode wrote, or
    one of NumPy's."""
    qpm: float = DEFAULT_QPM
    """Tempo of the clips in quarters per minute."""
    metre: str | None = None
    """Metre of the clips, such as 3/4; by default the first of the model's."""


@dataclass(frozen=True, kw_only=True)
class Stream(Decode):
    """Turn the codes of one output into its words or bars while they are made."""


@dataclass(frozen=True, kw_only=True)
class Sample(Drawing):
    """Draw new sentences or clips."""

    n: int = field(default=8, kw_only=False)
    """Number of outputs."""
    qpm: float = DEFAULT_QPM
    """Tempo of the clips in quarters per minute."""
    metre: str | None = None
    """Metre of the clips, such as 3/4; by default the first of the model's."""
    temperature: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        super().__post_init__()
        at_least(self, 1, "n")
        at_most(self, MAX_OUTPUTS, "n")


@dataclass(frozen=True, kw_only=True)
class Reconstruct(Coding, Drawing):
    """Send sentences or MIDI files through the latent code and back."""

    inputs: Source | Sequence[Source] = field(kw_only=False)
    """Sentences, or MIDI files. On the command line, - stands for the lines on standard input,
    each a sentence. Empty lines and those that do not fit are left out, with a warning that says
    which; the others stay in order."""


@dataclass(frozen=True, kw_only=True)
class Humanise(Hearing, Sampling):
    """Give drums the loudness and the timing of a groove model; every note of the file stays."""

    inputs: Source | Sequence[Source] = field(kw_only=False)
    """MIDI files."""
    bar: int | None = None
    """Take only the window that begins at this bar, counted from 1."""
    velocity: float = 1.0
    """How far the loudness goes from that of the file, 0, to that of the model, 1."""
    timing: float = 1.0
    """How far the timing goes from that of the file, 0, to that of the model, 1."""
    temperature: float = 0.0
    """Divides the logits; 0 takes the mean of 16 performances, the closest to a drummer's."""
    seed: int | None = None
    """Seed of all draws: the same command with the same seed, and the same -n, repeats its output
    exactly."""

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        super().__post_init__()
        check_seed(self.seed)
        within(self, 0, 1, "velocity", "timing", closed=True)


@dataclass(frozen=True, kw_only=True)
class Interpolate(Coding, Drawing):
    """Go from one sentence or MIDI file to another in equal steps."""

    start: Source = field(kw_only=False)
    """A sentence, or a MIDI file."""
    end: Source = field(kw_only=False)
    """A sentence, or a MIDI file."""
    num_steps: int = 9
    """Number of outputs, both ends included."""
    method: str = "slerp"
    """Path between the codes: slerp (great circle) or lerp (straight line)."""

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        super().__post_init__()
        at_least(self, 2, "num_steps")
        at_most(self, MAX_OUTPUTS, "num_steps")
        one_of(self, "method", ("slerp", "lerp"))


@dataclass(frozen=True, kw_only=True)
class Blend(Coding, Drawing):
    """Mix two to four sentences or MIDI files on a line, a triangle or a square."""

    inputs: Sequence[Source] = field(kw_only=False)
    """Two to four sentences, or MIDI files."""
    num_steps: int = 5
    """Number of outputs along a side, both corners included."""

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        super().__post_init__()
        at_least(self, 2, "num_steps")
        at_most(self, MAX_SIDE, "num_steps")
        number = len(as_inputs(self.inputs))
        if not 2 <= number <= 4:
            raise InputError(f"{amount(number, 'input')}; blend takes two to four")


@dataclass(frozen=True, kw_only=True)
class Vary(Coding, Drawing):
    """Make variations of a sentence or MIDI file."""

    source: Source = field(kw_only=False)
    """A sentence, or a MIDI file."""
    n: int = 8
    """Number of outputs."""
    distance: float = 0.3
    """0 is the reconstruction, 1 is as far away as a random sample. All windows of a long clip move
    the same way, so that what is repeated stays repeated."""

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        super().__post_init__()
        at_least(self, 1, "n")
        at_most(self, MAX_OUTPUTS, "n")
        within(self, 0, 1, "distance", closed=True)


@dataclass(frozen=True, kw_only=True)
class Complete(Hearing, Drawing):
    """Keep a part of a sentence or MIDI file, and write the rest so that it fits."""

    source: Source | None = field(default=None, kw_only=False)
    """A MIDI file, or a sentence with ___ for what is to be written, as in A man ___ a boat."""
    prefix: str | None = None
    """Beginning of a sentence that goes on; the same as a gap at its end."""
    keep: str | None = None
    """Bars to keep, such as 1-4, and parts to keep in all bars, such as drums, or both: 1-4,drums.
    All else is written anew. A trio has the parts melody, bass and drums, a chorale soprano, alto,
    tenor and bass. By default all is kept, and the clip goes on."""
    fill: str | None = None
    """Bars to write anew, such as 3 or 3,7-8. All others are kept, without --keep."""
    bars: int | None = None
    """Bars of the output, where the clip goes on; by default to the end of the model's window, or
    by half a window."""
    n: int = 8
    """Number of outputs."""
    choose: int | None = None
    """Number of candidates to draw; the n that the model finds most likely are returned."""
    temperature: float = 0.5

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        super().__post_init__()
        at_least(self, 1, "n")
        at_most(self, MAX_OUTPUTS, "n")
        if self.choose is not None:
            at_least(self, self.n, "choose")
            at_most(self, MAX_OUTPUTS, "choose")
        if self.bars is not None:
            at_least(self, 1, "bars")
        if self.source is not None and self.prefix is not None:
            raise InputError("prefix and an input are both given; one of them is enough")


@dataclass(frozen=True, kw_only=True)
class Analogy(Coding, Drawing):
    """Apply the difference between two sentences or MIDI files to a third: a - b + c."""

    a: Source = field(kw_only=False)
    """A sentence, or a MIDI file."""
    b: Source = field(kw_only=False)
    """A sentence, or a MIDI file: the one that the difference starts from."""
    c: Source = field(kw_only=False)
    """A sentence, or a MIDI file: the one that the difference leads to."""


@dataclass(frozen=True, kw_only=True)
class Shift(Coding, Drawing):
    """Move sentences or MIDI files along an attribute."""

    inputs: Source | Sequence[Source] = field(kw_only=False)
    """Sentences, or MIDI files. On the command line, - stands for the lines on standard input,
    each a sentence. Empty lines and those that do not fit are left out, with a warning that says
    which; the others stay in order."""
    attribute: str
    """Name of an attribute that was fitted by `seqvae attributes`; `seqvae look RUN` lists them."""
    amount: float = 1.0
    """How far: 1 is the way from the lowest quarter of the corpus to the highest; a negative value
    reduces the attribute."""
    keep_others: bool = False
    """Hold the other fitted attributes constant, as far as possible."""

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        super().__post_init__()
        check_amount(self.amount)


@dataclass(frozen=True, kw_only=True)
class Attributes:
    """Fit the directions that shift moves along, and print what each does to all attributes."""

    corpus: CorpusSource | None = field(default=None, kw_only=False)
    """Prepared corpus; by default the one that the run was trained on."""
    names: Sequence[str] = field(default=(), kw_only=False)
    """Attributes to fit; by default all that vary."""
    labels: str | Path | None = None
    """File with a label, a tab, and a sentence or MIDI file on each line, which is fitted as one
    more attribute; or a table (CSV, TSV, JSONL, JSON, Parquet)."""
    column: str | None = None
    """Column of the sentences or MIDI files in a table of labels: its name, or its number from 1
    where there is no header."""
    label_column: str | None = None
    """Column of the labels in that table."""
    method: str = "network"
    """Kind of score: network, probe (linear) or means (difference of means)."""
    amount: float = 1.0
    """How far samples are moved for the table."""
    seed: int = 0
    """Seed of the fit and of the samples that are moved."""
    out: str | Path | None = None
    """Folder that keeps the fit; by default the run. A bundle is only written to if it is named
    here."""

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        one_of(self, "method", ("network", "probe", "means"))
        check_amount(self.amount, may_be_zero=False)
        check_seed(self.seed)


@dataclass(frozen=True, kw_only=True)
class Score(Reading):
    """Print how unlikely the model finds sentences or MIDI files, the least likely first."""

    inputs: Source | Sequence[Source] = field(kw_only=False)
    """Sentences, or MIDI files. On the command line, - stands for the lines on standard input,
    each a sentence. Empty lines and those that do not fit are left out, with a warning that says
    which; the others stay in order."""
    iw_samples: int = 20
    """Draws of z per window in the importance-weighted likelihood; 1 gives the evidence bound."""
    where: bool = False
    """Print the nats of each token, or of each beat of a clip, and mark the oddest span. They are
    measured as by says, and do not add up to the total above, which is importance-weighted."""
    by: str = "mean"
    """What `where` prints: mean (nats given the code of the input), importance (nats given what
    comes before alone, from iw_samples draws) or, of text, repair (nats that the line would gain
    from the best other token there; finds most slips, and takes the longest)."""
    seed: int = 0
    """Seed of the draws."""

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        at_least(self, 1, "iw_samples")
        at_most(self, MAX_OUTPUTS, "iw_samples")
        one_of(self, "by", ("mean", "importance", "repair"))
        check_seed(self.seed)


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Print all figures of a model on a split."""

    corpus: CorpusSource | None = field(default=None, kw_only=False)
    """Prepared corpus; by default the one that the run was trained on."""
    split: str = "test"
    """Split of the corpus: train, valid or test."""
    max_sequences: int | None = None
    """The most sequences to evaluate, drawn at random by the seed; by default all of the split."""
    iw_samples: int = IW_SAMPLES
    """Draws of z per sequence in the importance-weighted likelihood, which takes nearly all of the
    time."""
    precision: str = "fp32"
    """fp32, or bf16, which is faster if the hardware supports it."""
    refine: int = 0
    """Gradient steps that bring the posterior of each sequence nearer to it, at the KL that the
    encoder gave it; 0 measures the encoder."""
    seed: int = 0
    """Seed of all draws of z."""

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        one_of(self, "split", ("train", "valid", "test"))
        if self.max_sequences is not None:
            at_least(self, 1, "max_sequences")
        at_least(self, 1, "iw_samples")
        at_most(self, MAX_OUTPUTS, "iw_samples")
        one_of(self, "precision", ("fp32", "bf16"))
        check_seed(self.seed)


@dataclass(frozen=True, kw_only=True)
class Push:
    """Publish a model on the Hugging Face Hub, with its card and some samples."""

    repository: str = field(kw_only=False)
    """Where to: owner/name. The repository is made if it is not there."""
    license: str | None = None
    """Licence of the weights, such as cc-by-4.0, which follows from that of the data that they were
    trained on. It may be left out where the card of the model states one."""
    license_link: str | None = None
    """Address of the text of a licence that the hub does not know."""
    datasets: Sequence[str] = ()
    """Datasets on the hub that it was trained on, each as owner/name."""
    private: bool = False
    """Whether others cannot see the repository."""
    commit_message: str | None = None
    """What is said of this version."""
    create_pr: bool = False
    """Whether it is proposed as a pull request, to a repository of somebody else."""
    token: str | None = None
    """Token with the right to write; by default that of hf auth login."""


def own_first(kind: Any) -> list[Field[Any]]:
    """The fields of a verb: its own, then those that it shares with others."""
    order = dict.fromkeys(name for base in kind.__mro__[:-1] for name in base.__annotations__)
    known = {each.name: each for each in fields(kind)}
    return [known[name] for name in order]


def taken(kind: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a verb as callers have them, with the types of its fields.

    Raises:
        InputError: one of them is of another type; there are no inputs.
        TypeError: what no model reads is passed as an input.
    """
    made = dict(values)
    for name, value in values.items():
        if name in ONE_INPUT:
            made[name] = None if value is None and _may_miss(kind, name) else as_input(value)
        elif name == "inputs":
            made[name] = as_inputs(value)
    return made | checked(kind, made)


def _may_miss(kind: Any, name: str) -> bool:
    """Whether a verb does without an input."""
    return inspect.signature(kind).parameters[name].default is None


def as_inputs(inputs: Any) -> list[Any]:
    """One input, or several in a list, an array, a column of a table or an iterator, as a list.

    Raises:
        InputError: there are none.
        TypeError: they, or one of them, are of a type that no model reads.
    """
    if isinstance(inputs, str | os.PathLike) or not hasattr(inputs, "__iter__"):
        return [as_input(inputs)]
    try:
        several = listed(inputs)
    except TypeError:
        raise TypeError(f"inputs are {shown(inputs)}; {INPUTS}") from None
    if not several:
        raise InputError("no inputs")
    return [as_input(each, f"input {i}") for i, each in enumerate(several, start=1)]


def as_input(value: Any, name: str = "the input") -> Any:
    """A sentence, a path, or an object, which the model may know.

    Raises:
        TypeError: it is a number, missing, bytes, or holds several.
    """
    if isinstance(value, str):
        return str(value)
    if isinstance(value, os.PathLike):
        return Path(value)
    if value is None or isinstance(value, Number) or hasattr(value, "__iter__"):
        raise TypeError(f"{name} is {shown(value)}; {INPUTS}")
    return value


def check_seed(seed: int | None) -> None:
    """Refuse what no generator takes.

    Raises:
        InputError: the seed is negative or too large.
    """
    if seed is not None and not 0 <= seed < SEED_END:
        raise InputError(f"seed is {shown(seed)}; it must be 0 or more, and below 2^63")


def check_amount(amount: float, *, may_be_zero: bool = True) -> None:
    """Refuse a shift that leads nowhere. By 0 it is a reconstruction, of which nothing is learned.

    Raises:
        InputError: the amount is not finite, or 0 where that teaches nothing.
    """
    if not math.isfinite(amount) or (amount == 0 and not may_be_zero):
        limits = "finite" if may_be_zero else "finite, and not 0"
        raise InputError(f"amount is {amount}; it must be {limits}")


def field_docs(kind: type) -> dict[str, str]:
    """The docstring under each field of a dataclass and of its bases, on one line each."""
    docs: dict[str, str] = {}
    for base in reversed(kind.__mro__[:-1]):
        body = _classes(sys.modules[base.__module__])[base.__name__].body
        for statement, text in itertools.pairwise(body):
            match statement, text:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(doc))),
                ):
                    docs[name] = " ".join(doc.split())
    return docs


@functools.cache
def _classes(module: ModuleType) -> dict[str, ast.ClassDef]:
    """The source of the classes of a module; `inspect.getsource` would parse it for each anew."""
    tree = ast.parse(inspect.getsource(module))
    return {each.name: each for each in tree.body if isinstance(each, ast.ClassDef)}


def verb(
    kind: Callable[P, O],
) -> Callable[[Callable[[S, O], R]], Callable[Concatenate[S, P], R]]:
    """Let a method that takes an object of options take its fields instead.

    Its signature and its help are made from the dataclass. Keywords that are no fields raise
    TypeError in the name of the method.
    """

    def decorate(method: Callable[[S, O], R]) -> Callable[Concatenate[S, P], R]:
        fields = inspect.signature(kind)

        @functools.wraps(method)
        def call(self: S, /, *args: P.args, **keywords: P.kwargs) -> R:
            try:
                named = fields.bind(*args, **keywords).arguments
            except TypeError as error:
                raise TypeError(f"{method.__name__}() {error}") from None
            return method(self, kind(**taken(kind, named)))  # type: ignore[call-arg]  # its fields

        (first, _) = inspect.signature(method).parameters.values()
        signature = fields.replace(
            parameters=[
                first.replace(annotation=inspect.Parameter.empty),
                *fields.parameters.values(),
            ],
            return_annotation=inspect.signature(method).return_annotation,
        )
        call.__signature__ = signature  # type: ignore[attr-defined]
        assert isinstance(kind, type)
        lines = (f"    {name}: {doc}" for name, doc in field_docs(kind).items())
        call.__doc__ = "\n".join([inspect.getdoc(method) or "", "", "Args:", *lines])
        return call

    return decorate
