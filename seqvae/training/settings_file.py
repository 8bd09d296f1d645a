"""YAML files of settings: text in UTF-8, in which each key stands once."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from seqvae.corpus.encodings import read_text
from seqvae.errors import InputError

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
        raise InputError(f"{file}: {line}not YAML ({problem})") from error
    if not isinstance(node, yaml.MappingNode):
        raise InputError(f"{file}: holds no settings, such as name: my_run")
    for key in _repeated(node):  # of which YAML would take the last
        line = f"line {key.start_mark.line + 1}"
        raise InputError(f"{file}: {line}: {key.value} stands here for the second time")
    return str(yaml.serialize(node))


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
