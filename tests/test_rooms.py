"""The rooms of the package: each imports only from those above it, and few know a heavy library."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "seqvae"
ROOMS = (
    "errors", "reasons", "stops", "disk", "files", "hub", "shipped", "model", "music", "tokenizers",
    "corpus", "inference", "training", "exchange", "pages", "serving", "verb_flags",
    "cli", "__main__",
)  # fmt: skip
LIBRARIES = {  # where each may be imported, inside functions too
    "torch": (
        "__init__",
        "model",
        "corpus/batches",
        "inference",
        "training",
        "exchange",
        "pages",
        "serving/osc",
        "serving/workshop",
    ),
    "gradio": ("serving/app",),
    "pythonosc": ("serving/osc",),
    "rtmidi": ("serving/midi_port",),
    "lightning": ("training",),
    "pretty_midi": ("music/midi", "music/audio", "inference", "pages"),
    "symusic": ("music/midi",),
    "mido": ("music/midi",),
    "sentencepiece": ("tokenizers/text",),
    "safetensors": ("inference",),
    "jsonargparse": ("training/flags",),
    "huggingface_hub": ("hub", "exchange/publishing"),
    "matplotlib": ("exchange/rolls",),
}
FILES = sorted(PACKAGE.rglob("*.py"))
TOP = {
    ".ci", ".gitignore", "LICENSE", "README.md", "configs", "data", "pyproject.toml", "scripts",
    "seqvae", "tests",
}  # fmt: skip
MAX_BYTES = 2**22  # of a file: the largest are the weights of a shipped model


def imports(file: Path) -> set[str]:
    """Every module that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            assert node.module is not None
            names.add(node.module)
    return names


def place(file: Path) -> str:
    """A file within the package, such as model/vae."""
    return file.relative_to(PACKAGE).with_suffix("").as_posix()


@pytest.mark.parametrize("file", FILES, ids=place)
def test_a_room_imports_only_from_those_above_it(file: Path) -> None:
    room = place(file).split("/")[0]
    if room == "__init__":
        return
    for name in imports(file):
        if name.startswith("seqvae."):
            other = name.split(".")[1]
            assert ROOMS.index(other) <= ROOMS.index(room), f"{place(file)} imports {name}"
            assert other != room or "/" in place(file)


@pytest.mark.parametrize("file", FILES, ids=place)
def test_a_heavy_library_is_imported_where_it_belongs(file: Path) -> None:
    for name in imports(file):
        places = LIBRARIES.get(name.split(".")[0])
        assert places is None or place(file).startswith(places), f"{place(file)} imports {name}"


def test_every_folder_is_a_room_that_says_what_it_is_for() -> None:
    folders = {folder.name for folder in PACKAGE.iterdir() if any(folder.glob("*.py"))}
    assert folders <= {*ROOMS}
    for folder in folders:
        docstring = ast.get_docstring(ast.parse((PACKAGE / folder / "__init__.py").read_text()))
        assert docstring is not None
        assert docstring.count("\n") <= 4, folder


def test_no_module_imports_one_below_it_in_its_room() -> None:
    """Inside a room there is an order of import, too: no circles."""
    edges = {
        place(file): {
            name.removeprefix("seqvae.").replace(".", "/")
            for name in imports(file)
            if name.startswith("seqvae.")
        }
        for file in FILES
    }
    edges = {name.removesuffix("/__init__"): targets for name, targets in edges.items()}
    ready: set[str] = set()
    while len(ready) < len(edges):
        more = {name for name, targets in edges.items() if targets & edges.keys() <= ready} - ready
        assert more, f"circles among {sorted(edges.keys() - ready)}"
        ready |= more


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import seqvae, seqvae.cli", {"torch", "lightning", "pretty_midi"}),
        ("import seqvae.corpus.scores", {"torch", "lightning"}),
        ("import seqvae.inference.trained", {"lightning"}),
    ],
)
def test_importing_is_fast_because_of_it(statement: str, absent: set[str]) -> None:
    code = f"import sys; {statement}; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not absent & {*out.stdout.split()}


def test_git_keeps_the_project_and_nothing_else() -> None:
    root = PACKAGE.parent
    if not (root / ".git").exists():
        pytest.skip("this tree is no checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True)
    kept = [Path(name) for name in listed.stdout.decode().split("\0") if name]
    assert {file.parts[0] for file in kept} == TOP
    large = [
        file
        for file in kept
        if (root / file).is_file() and (root / file).stat().st_size > MAX_BYTES
    ]
    assert not large
