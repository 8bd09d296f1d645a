"""Files are text in UTF-8, whatever the locale."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(
    file for folder in ("seqvae", "scripts", "data") for file in (ROOT / folder).rglob("*.py")
)


OTHERS = ("os.open", "webbrowser.open", "packed.open")  # which open no text


def calls_without_encoding(source: str) -> list[str]:
    """Calls that open text in the encoding of the locale; ruff misses those on expressions."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        modes = [ast.literal_eval(a) for a in node.args if isinstance(a, ast.Constant)]
        is_binary = any(isinstance(mode, str) and "b" in mode[:3] for mode in modes)
        opens = name.endswith((".read_text", ".write_text", "TextIOWrapper")) or (
            name.split(".")[-1] == "open" and name not in OTHERS and not is_binary
        )
        if opens and not any(keyword.arg == "encoding" for keyword in node.keywords):
            found.append(f"line {node.lineno}: {ast.unparse(node)}")
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_every_text_file_is_opened_with_an_encoding(file: Path) -> None:
    assert not calls_without_encoding(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "call",
    ["(a / b).read_text()", "p.write_text(x)", "p.open()", "open(x, 'w')", "(a / b).open('a')"],
)
def test_a_call_without_encoding_is_found(call: str) -> None:
    assert calls_without_encoding(call)
