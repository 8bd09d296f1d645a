"""The flags of `prepare` and `train`: a config from a YAML file and flags, which win.

Heavy modules are imported where they are used, so that the help of other verbs is printed at once.
"""

import argparse
import difflib
import re
import sys
from collections.abc import Collection, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from seqvae.errors import SHOWN, InputError, in_words
from seqvae.shipped import find_preset

if TYPE_CHECKING:
    from seqvae.training.config import Config

PLACES = ("--data.source", "--data.train", "--data.valid", "--data.test")


def parse_config(
    verb: str, arguments: Sequence[str], about: str | None = None
) -> tuple["Config", dict[str, Any]]:
    """The config from a YAML file and flags, which win, and the other flags by name.

    `about` stands above the flags in the help.

    Raises:
        InputError: a file or a flag is not as it must be.
    """
    import jsonargparse

    from seqvae.training.config import Config
    from seqvae.training.tokenizer_help import tokenizer_help

    jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = jsonargparse.ArgumentParser(
        prog=f"seqvae {verb}",
        usage=f"seqvae {verb} PRESET [--data.source FOLDER] [--SECTION.FIELD VALUE ...]",
        description=about,
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--config",
        action="config",
        help="a preset (seqvae presets) or a YAML file; it may stand first, alone",
    )
    parser.add_class_arguments(Config)
    parser.add_argument("--dedupe", action="store_true", help="short for --data.dedupe true")
    parser.add_argument(
        "--init_from", help="a run, a bundle or a shipped model: its settings, vocabulary, "
        "weights and prior are where the training begins",
    )  # fmt: skip
    if verb == "train":
        parser.add_argument("--resume", action="store_true", help="continue an interrupted run")
        parser.add_argument("--runs", default="runs", help="folder of all runs")
    words = list(arguments)
    if {"-h", "--help"} & {*words}:
        print(parser.format_help(), tokenizer_help(), sep="\n", end="")
        sys.exit(0)
    if not words:
        raise InputError(f"give a preset or a config, such as seqvae {verb} melody_2bar")
    if not words[0].startswith("-"):
        words.insert(0, "--config")
    others = {action.dest for action in parser._actions if "." not in action.dest}
    words = _with_base(_with_settings(words, others - {"help"}))
    words, places = _without_places(words)
    try:
        parsed = parser.parse_args(words)
        if parsed.dedupe:
            parsed.data.dedupe = True
        vars(parsed.data).update(places)
        made = parser.instantiate(parsed)
    except (jsonargparse.ArgumentError, OverflowError, RecursionError) as error:
        said = _in_our_words(str(error)) + did_you_mean(str(error), parser)
        raise InputError(f"{said} (see seqvae {verb} --help)") from error
    made.pop("init_from")  # its settings are among the others
    sections = {name: made[name] for name in Config.__dataclass_fields__}
    return Config(**sections), {k: v for k, v in vars(made).items() if k not in sections}


def _with_settings(words: list[str], others: Collection[str]) -> list[str]:
    """The arguments with the text of each config file in the place of its name.

    Files may hold the settings of `Config`, and `others`.
    """
    read: list[str] = []
    for word in words:
        if read and read[-1] == "--config":
            read[-1] = f"--config={_settings_in(word, others)}"
        elif word.startswith("--config="):
            read.append(f"--config={_settings_in(word.removeprefix('--config='), others)}")
        else:
            read.append(word)
    return read


def _settings_in(place: str, others: Collection[str]) -> str:
    """The settings of a preset or a file, as YAML."""
    from seqvae.training.config import Config
    from seqvae.training.settings_file import check_names, read_settings

    file = find_preset(place)
    settings = read_settings(file)
    check_names(file, settings, Config, others)
    return settings


def _with_base(words: list[str]) -> list[str]:
    """The arguments with the settings of the model that `--init_from` names before all others."""
    for number, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if flag == "--init_from" and (equals or number + 1 < len(words)):
            from seqvae.training.start import settings_from  # which needs torch

            base = value if equals else words[number + 1]
            return [f"--config={settings_from(base)}", *words]
    return words


def _without_places(words: list[str]) -> tuple[list[str], dict[str, Any]]:
    """The arguments without the places of data, and these by field.

    They take as many as a shell makes of `my_clips/*.mid`. They are names, even where they are
    YAML; `null` unsets a place, unless it is the name of one.
    """
    rest: list[str] = []
    places: dict[str, list[str]] = {}
    taking: list[str] | None = None
    for word in words:
        flag, equals, value = word.partition("=")
        if word.startswith("-"):
            taking = None
        if flag in PLACES:
            taking = places[flag.removeprefix("--data.")] = [value] if equals else []
        elif taking is None:
            rest.append(word)
        else:
            taking.append(word)
    for name, named in places.items():
        if not named:
            raise InputError(f"--data.{name} names nothing; give files, folders or globs")
    unset = [] if Path("null").exists() else ["null"]
    return rest, {name: None if named == unset else named for name, named in places.items()}


def _in_our_words(message: str) -> str:
    """What jsonargparse says of a setting, in one short line."""
    from seqvae.training.config import Config

    name = re.search(r'Parser key "([\w.]+)"', message)
    value = re.search(r"(?:Got value|Given value): (.*)", message)
    hint: Any = Config
    for part in name[1].split(".") if name else ():
        hint = get_type_hints(hint).get(part) if is_dataclass(hint) else None
    if value is None or hint is None or is_dataclass(hint):
        return message
    assert name is not None
    return f"{name[1]} is {value[1][:SHOWN]}; it takes {in_words(hint)}"


def did_you_mean(message: str, parser: argparse.ArgumentParser) -> str:
    """The flag that an unknown one resembles, or whose last part it is; or nothing."""
    unknown = unknown_flag(message)
    if unknown is None:
        return ""
    # argparse has no public list of its flags.
    written = [flag for action in parser._actions for flag in action.option_strings]
    flags = {flag.lstrip("-"): flag for flag in written}
    same = [flag for flag in flags if flag.split(".")[-1] == unknown]
    longer = [flag for flag in flags if len(unknown) > 1 and unknown in flag.split(".")[-1]]
    close = same or longer or difflib.get_close_matches(unknown, flags, n=1)
    return f"; did you mean {flags[close[0]]}?" if close else ""


def unknown_flag(message: str) -> str | None:
    """The flag that a parser does not know, without dashes; None if something else is wrong."""
    unknown = re.search(r"[Uu]nrecognized arguments: --?([\w.]+)", message)
    return unknown[1] if unknown else None
