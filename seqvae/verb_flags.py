"""The flags of the verbs: the fields of their dataclasses in `inference/options.py`."""

import argparse
from collections.abc import Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, NoReturn, get_args, get_origin, get_type_hints

from seqvae.errors import InputError
from seqvae.inference import options
from seqvae.training.flags import did_you_mean, unknown_flag

A_MODEL = "a run, a bundle, the name of a shipped model, or owner/name on the Hugging Face Hub"


NUMBERS = {1: "one input", 2: "two inputs", 3: "three inputs"}
NO_VERBS = ("Stream",)  # options that no verb of the command line has
MAX_VERBS = 3  # in a message


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, and that guesses no abbreviated flags."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        """Refuse the arguments."""
        guess = did_you_mean(message, self) or _verbs_that_know(unknown_flag(message))
        said = self._about_inputs(message) or f"{message}{guess}"
        raise InputError(f"{said} (see {self.prog} --help)")

    def _about_inputs(self, message: str) -> str:
        """How many inputs the verb takes, where one of them is what is missing."""
        missing = message.partition("arguments are required: ")[2].split(", ")
        inputs = [each.dest for each in self._actions if each.dest in options.ONE_INPUT]
        if not {*missing} <= {*inputs}:
            return ""
        which = f": {', '.join(inputs)}" if len(inputs) > 1 else ""
        return (
            f"{', '.join(missing)} missing; {self.prog.split()[-1]} takes {NUMBERS[len(inputs)]}"
            f"{which}"
        )


def _verbs_that_know(flag: str | None) -> str:
    """The verbs that have a flag which this one has not."""
    ours = vars(options).items()
    kinds = [kind for name, kind in ours if isinstance(kind, type) and name not in NO_VERBS]
    verbs = [
        kind.__name__.lower()
        for kind in kinds
        if is_dataclass(kind) and kind.__module__ == options.__name__
        if not kind.__subclasses__() and flag in {field.name for field in fields(kind)}
    ]
    if not verbs:
        return ""
    others = " and others" * (len(verbs) > MAX_VERBS)
    return f"; it is a flag of {', '.join(verbs[:MAX_VERBS])}{others}"


def add_flags(parser: Parser, kind: type) -> None:
    """A flag for each field of a dataclass."""
    docs, hints = options.field_docs(kind), get_type_hints(kind)
    for field in options.own_first(kind):
        parser.add_argument(
            *_flag(field), **_flag_settings(field, hints[field.name], docs[field.name])
        )


def _flag(field: Field[Any]) -> tuple[str, ...]:
    """The name of a field on the command line; inputs and lists of names have no dashes."""
    may_miss = field.default == () or field.name in options.INPUT_FIELDS
    if not field.kw_only and (field.default is MISSING or may_miss):
        return (field.name,)
    return (f"-{field.name}",) if len(field.name) == 1 else (f"--{field.name}",)


def _flag_settings(field: Field[Any], hint: Any, doc: str) -> dict[str, Any]:
    """Type, default and help of a flag."""
    text = doc.replace("%", "%%")
    if hint is bool:
        return {"action": "store_true", "help": text}
    kinds = {hint, *get_args(hint)}
    settings: dict[str, Any] = {
        "help": text,
        "type": next((kind for kind in (int, float) if kind in kinds), str),
    }
    many = any(get_origin(kind) is Sequence for kind in kinds)
    if field.default is MISSING:
        return (
            settings
            | ({"nargs": "+"} if many else {})
            | ({"required": True} if field.kw_only else {})
        )
    if field.name in options.INPUT_FIELDS:
        return settings | {"nargs": "?"}
    if field.default not in (None, ()):
        settings["help"] = f"{text} (default {field.default})"
    return settings | {"default": field.default} | ({"nargs": "*"} if many else {})


def parse(parser: Parser, kind: type, arguments: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """The run and the options of a verb, checked before anything is loaded."""
    chosen = vars(parser.parse_args(arguments))
    run: str = chosen.pop("run")
    kind(**{field.name: chosen[field.name] for field in fields(kind)})
    return run, chosen
