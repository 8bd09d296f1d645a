"""Progress is shown where work is long, and to people alone."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "seqvae"
ALWAYS_LONG = "training/module.py"  # how a training stands is for logs, too


def bars(file: Path) -> list[dict[str, ast.expr]]:
    """The settings of every progress bar in a file."""
    return [
        {setting.arg: setting.value for setting in node.keywords if setting.arg}
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "tqdm"
    ]


FILES = {
    file.relative_to(PACKAGE).as_posix(): found
    for file in PACKAGE.rglob("*.py")
    if (found := bars(file))
}


def test_what_takes_long_has_a_bar() -> None:
    assert {"corpus/workers.py", "inference/codec.py", "inference/evaluation.py"} < FILES.keys()


@pytest.mark.parametrize("name", sorted(FILES.keys() - {ALWAYS_LONG}))
def test_a_bar_waits_until_the_work_is_long(name: str) -> None:
    for settings in FILES[name]:
        assert ast.literal_eval(settings["delay"]) == 1
        if name.startswith("inference"):  # what verbs print goes into files and pipes
            assert ast.literal_eval(settings["disable"]) is None
