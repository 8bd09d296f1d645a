"""What visitors set of a verb: the fields of its options, with ranges for sliders.

The dataclasses of `inference/options.py` are the only source of names, defaults and help. A range
is narrower than what they accept where a visitor could ask for more than a server gives.
"""

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from typing import Any, get_args, get_type_hints

from seqvae.errors import InputError, shown
from seqvae.inference import options
from seqvae.inference.trained import TrainedVAE
from seqvae.tokenizers.groove import GrooveTokenizer
from seqvae.tokenizers.keys import KeySettings

VERBS: dict[str, type] = {
    kind.__name__.lower(): kind
    for kind in (
        options.Sample, options.Complete, options.Vary, options.Interpolate, options.Blend,
        options.Humanise, options.Shift, options.Analogy, options.Reconstruct, options.Score,
    )
}  # fmt: skip
WITHOUT_CODE = ("sample", "complete", "score")  # what a language model can do
ON_DISK = ("chord_file", "beats", "beats_metre")  # what lies beside a file; an upload is alone
ALWAYS = {"score": {"where": True}}  # what a page shows unasked
OF_TERMINALS = ("where", "prefix")  # told unasked, or said by a gap as well
MAIN = ("temperature", "seed")  # that all verbs share, and everybody sets
RARE = ("metre", "method", "choose", "iw_samples", "by")  # that are a verb's own, and seldom set

RANGES: dict[str, tuple[float, float, float]] = {  # lowest, highest, step
    "n": (1, 32, 1), "num_steps": (2, 17, 1), "blend.num_steps": (2, 9, 1),
    "temperature": (0, 2, 0.05), "top_k": (0, 100, 1), "top_p": (0.05, 1, 0.05),
    "distance": (0, 1, 0.05), "amount": (-3, 3, 0.25), "velocity": (0, 1, 0.05),
    "timing": (0, 1, 0.05), "qpm": (30, 240, 1), "iw_samples": (1, 100, 1),
    "refine": (0, 40, 5), "choose": (1, 128, 1), "bars": (1, 64, 1), "bar": (1, 10000, 1),
    "seed": (0, 2**31 - 1, 1),
}  # fmt: skip
MOST_OF_A_SLIDER = 1000
CHOICES = {"method": ("slerp", "lerp"), "by": ("mean", "importance", "repair")}
OF_TEXT = ("repair",)  # choices that music does without
LABELS = {"n": "Number of outputs", "num_steps": "Number of steps", "qpm": "Tempo"}


@dataclass(frozen=True)
class Control:
    """One setting of a verb."""

    name: str
    label: str
    info: str
    kind: type
    """int, float, bool or str."""
    value: Any
    """None where nothing is set, which is allowed if it is the default."""
    range: tuple[float, float, float] | None = None
    """Of a number: the lowest, the highest, and the step of a slider."""
    choices: tuple[str, ...] = ()
    is_main: bool = True
    """Whether it is shown at first sight."""

    @property
    def is_typed(self) -> bool:
        """Whether it stands in a text box: a text, or a number that no slider could show."""
        if self.kind is bool or self.choices:
            return False
        return self.value is None or self.range is None or self.range[1] > MOST_OF_A_SLIDER

    @property
    def as_text(self) -> str:
        """The default as it stands in a text box."""
        return "" if self.value is None else str(self.value)

    def taken(self, value: Any) -> Any:
        """A value as the options want it.

        Raises:
            InputError: it is of another type, or outside the range.
        """
        if value is None or (isinstance(value, str) and not value.strip()):
            return self.value
        if self.kind is bool or self.kind is str:
            return value
        try:
            number = float(value)
            if self.kind is int and not number.is_integer():
                raise ValueError
        except (TypeError, ValueError, OverflowError):
            what = "a whole number" if self.kind is int else "a number"
            raise InputError(f"{self.name} is {shown(value)}; it must be {what}") from None
        assert self.range is not None
        low, high, _ = self.range
        if not low <= number <= high:
            raise InputError(
                f"{self.name} is {shown(value)}; here it must lie between {low:g} and {high:g}"
            )
        return self.kind(number)


def verbs_of(vae: TrainedVAE) -> list[str]:
    """The verbs that a model can do."""
    can: dict[str, Callable[[], bool]] = {
        "complete": lambda: vae.tokenizer.modality == "text" or vae.tokenizer.on_grid,
        "humanise": lambda: isinstance(vae.tokenizer, GrooveTokenizer),
        "shift": lambda: bool(attributes_of(vae)),
    }
    has_code = vae.model.config.latent_dim > 0
    return [
        name for name in VERBS
        if (has_code or name in WITHOUT_CODE) and can.get(name, lambda: True)()
    ]  # fmt: skip


def attributes_of(vae: TrainedVAE) -> tuple[str, ...]:
    """The attributes that are fitted."""
    try:
        return tuple(vae.directions.names)
    except InputError:
        return ()


def inputs_of(verb: str) -> list[str]:
    """The fields of a verb that take clips or sentences."""
    return [each.name for each in fields(VERBS[verb]) if each.name in options.INPUT_FIELDS]


def controls_of(verb: str, vae: TrainedVAE) -> list[Control]:
    """The settings of a verb that mean something to a model; those to be shown come first."""
    kind = VERBS[verb]
    docs, hints = options.field_docs(kind), get_type_hints(kind)
    left_out = {*ON_DISK, *OF_TERMINALS, *inputs_of(verb), *_foreign(vae)}
    controls = []
    for field in options.own_first(kind):
        name, default = field.name, field.default
        if name in left_out:
            continue
        choices = attributes_of(vae) if name == "attribute" else CHOICES.get(name, ())
        if vae.tokenizer.modality == "music":
            choices = tuple(each for each in choices if each not in OF_TEXT)
        controls.append(
            Control(
                name,
                LABELS.get(name, name.replace("_", " ").capitalize()),
                docs[name].replace("--", ""),
                _kind(hints[name]),
                choices[0] if default is MISSING else default,
                RANGES.get(f"{verb}.{name}", RANGES.get(name)),
                choices,
                name in MAIN or (name in kind.__annotations__ and name not in RARE),
            )
        )
    return sorted(controls, key=lambda control: not control.is_main)


def _foreign(vae: TrainedVAE) -> set[str]:
    """Fields that mean nothing to a model."""
    tokenizer = vae.tokenizer
    keys = {"key", "scale", "input_key"}
    if tokenizer.modality == "text":
        return {*options.OF_MUSIC} | keys
    foreign = set() if isinstance(tokenizer, KeySettings) else keys
    if not tokenizer.reads_chords:
        foreign |= {"chords"}
    return foreign


def _kind(hint: Any) -> type:
    """The type of a field, whether or not it may be missing."""
    kinds = {hint, *get_args(hint)}
    return next(kind for kind in (bool, int, float, str) if kind in kinds)
