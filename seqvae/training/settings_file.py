"""YAML files of settings: text in UTF-8, in which each key stands once and is a setting."""

import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from seqvae.corpus.encodings import read_text
from seqvae.errors import InputError, shown

HERE = "a preset or a config is named here, and data by --data.source"
MERGE = "tag:yaml.org,2002:merge"  # which may stand several times


def read_settings(file: Path) -> str:
    """The settings of a YAML file, as YAML in ASCII.

    Raises:
        InputError: it cannot be read, is not YAML, holds no settings, or a key twice.
    """
    if not file.is_file():
        raise InputError(f"{file}: no such config file")
    text = read_text(file)
    try:
        node = yaml.compose(text, yaml.SafeLoader)
        yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", error)
        line = f"line {mark.line + 1}: " if mark else ""
        raise InputError(f"{file}: {line}not YAML ({problem}); {HERE}") from error
    if not isinstance(node, yaml.MappingNode):
        raise InputError(f"{file}: holds no settings, such as name: my_run; {HERE}")
    for key in _repeated(node):  # of which YAML would take the last
        line = f"line {key.start_mark.line + 1}"
        raise InputError(f"{file}: {line}: {key.value} stands here for the second time")
    return str(yaml.serialize(node))


def check_names(file: Path, settings: str, kind: type, others: Collection[str]) -> None:
    """Refuse settings of a file, in YAML, that are no fields of a dataclass, nor among `others`.

    Raises:
        InputError: one is not; the message names the nearest field.
    """
    known = [*_names_in(kind), *others]
    for name, value in _named(yaml.safe_load(settings), kind):
        if name not in known:
            last = [field for field in known if field.split(".")[-1] == name.split(".")[-1]]
            close = last or difflib.get_close_matches(name, known, n=1)
            guess = f"; did you mean {close[0]}?" if close else f"; {HERE}"
            raise InputError(f"{file}: no setting {shown(name)}{guess}")
        if _is_section(name, kind) and not isinstance(value, Mapping):
            raise InputError(f"{file}: {name} is {shown(value)}; it takes settings by their names")


def _names_in(kind: Any, section: str = "") -> Iterator[str]:
    """Fields and their fields."""
    for name, hint in get_type_hints(kind).items():
        yield section + name
        if is_dataclass(hint):
            yield from _names_in(hint, f"{section}{name}.")


def _is_section(name: str, kind: Any) -> bool:
    for part in name.split("."):
        kind = get_type_hints(kind).get(part) if is_dataclass(kind) else None
    return is_dataclass(kind)


def _named(settings: Mapping[Any, Any], kind: Any, section: str = "") -> Iterator[tuple[str, Any]]:
    """The settings, each with those inside it, by names such as model.latent_dim."""
    for key, value in settings.items():
        name = f"{section}{key}"
        yield name, value
        if isinstance(value, Mapping) and _is_section(name, kind):
            yield from _named(value, kind, f"{name}.")


def _repeated(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    """Keys that stand in one mapping before."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated(item)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != MERGE:
                if key.value in seen:
                    yield key
                seen.add(key.value)
            yield from _repeated(value)
