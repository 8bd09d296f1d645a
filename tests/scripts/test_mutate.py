"""The mutation tests themselves: a small tree with a known answer, and the lists of this one."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mutate import judge
from mutation import ListError, Mutation, choose, read_list, read_lists

ROOT = Path(__file__).parents[2]
LISTS = ROOT / "scripts" / "mutations"

TOY = '''"""A toy."""


def double(x: int) -> int:
    return 2 * x


def unused() -> int:
    return 3
'''
TOY_TESTS = """import os
import time
from pathlib import Path

import toy


def test_double():
    assert toy.double(4) == 8


def test_fails():
    raise AssertionError


def test_ends():
    while toy.unused() == 5:
        Path(os.environ["TOY_ENDLESS"]).write_text(str(os.getpid()))
        time.sleep(0.01)


def test_copy():
    assert Path(toy.__file__).parents[1] == Path.cwd()
"""
TOY_LIST = """
[[mutation]]
name = "{name}"
file = "seqvae/toy.py"
from = '''{old}'''
to = '''{new}'''
tests = ["tests/test_toy.py", "-k={test}"]
{more}
"""
MUTATIONS = {
    "good": ("2 * x", "x * x", "double", ""),
    "weak": ("return 3", "return 4", "double", ""),
    "harmless": ("return 3", "return 4", "double", "allowed = 'nobody calls it'"),
    "gone": ("return 7", "return 8", "double", ""),
    "ambiguous": ("return", "yield", "double", ""),
    "ungrammatical": ("return 3", "return (", "double", ""),
    "endless": ("return 3", "return 5", "ends", ""),
    "red": ("return 3", "return 4", "fails", ""),
    "untested": ("return 3", "return 4", "nothing_of_this_name", ""),
    "elsewhere": ("2 * x", "x * x", "copy", ""),
}


def make_tree(root: Path, names: list[str]) -> Path:
    """A tree with one module, its tests, and some of the mutations."""
    lists = root / "scripts" / "mutations"
    for folder in (root / "seqvae", root / "tests", lists):
        folder.mkdir(parents=True)
    (root / "seqvae" / "toy.py").write_text(TOY)
    (root / "tests" / "test_toy.py").write_text(TOY_TESTS)
    (root / "pyproject.toml").write_text("[tool.pytest.ini_options]\npythonpath = ['seqvae']\n")
    text = ""
    for name in names:
        old, new, test, more = MUTATIONS[name]
        text += TOY_LIST.format(name=name, old=old, new=new, test=test, more=more)
    (lists / "toys.toml").write_text(text)
    return root


def command(root: Path, *argv: str, timeout: float = 300.0) -> list[str]:
    """The command for another tree, without the heavy libraries."""
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'scripts')!r})\n"
        "import mutate; from pathlib import Path; mutate.PRELOADED = ()\n"
        f"sys.exit(mutate.main({list(argv)!r}, Path({str(root)!r}), timeout={timeout}))"
    )
    return [sys.executable, "-c", program]


def outcomes_in(printed: str) -> dict[str, str]:
    """The outcome of each mutation in the table."""
    rows = re.findall(r"^\| (.+?) +\| toys +\| (\w+) ", printed, re.MULTILINE)
    return {name: outcome for outcome, name in rows}


def mutate(root: Path, *argv: str, timeout: float = 300.0) -> tuple[int, str, dict[str, str]]:
    """The exit code, what was printed, and the outcome of each mutation."""
    done = subprocess.run(
        command(root, *argv, timeout=timeout), capture_output=True, text=True, check=False
    )
    printed = done.stdout + done.stderr
    return done.returncode, printed, outcomes_in(printed)


def test_killed_or_allowed_is_good(tmp_path: Path) -> None:
    root = make_tree(tmp_path, ["good", "harmless"])
    code, printed, outcomes = mutate(root)
    assert outcomes == {"good": "killed", "harmless": "allowed"}, printed
    assert code == 0
    assert "2 mutations: 1 killed, 1 allowed" in printed
    assert "test_toy.py::test_double" in printed  # who killed it
    assert "nobody calls it" in printed
    assert (root / "seqvae" / "toy.py").read_text() == TOY


def test_all_else_is_bad_and_says_why(tmp_path: Path) -> None:
    expected = {
        "weak": ("survived", "seqvae/toy.py: return 3 -> return 4"),
        "gone": ("not applicable", "the text does not occur exactly once in seqvae/toy.py"),
        "ambiguous": ("not applicable", "the text does not occur exactly once in seqvae/toy.py"),
        "ungrammatical": ("broken", "the mutated file does not compile: '(' was never closed"),
        "red": ("broken", "without the mutation: tests/test_toy.py::test_fails: fails"),
        "untested": ("broken", "4 deselected"),
        "elsewhere": ("survived", "seqvae/toy.py: 2 * x -> x * x"),
    }
    code, printed, outcomes = mutate(make_tree(tmp_path, list(expected)))
    assert outcomes == {name: outcome for name, (outcome, _) in expected.items()}, printed
    for name, (_, note) in expected.items():
        assert re.search(rf"^\| .* {name} .* \| {re.escape(note)}", printed, re.MULTILINE), name
    assert code == 1


def test_bad_is_one_of_many(tmp_path: Path) -> None:
    code, printed, outcomes = mutate(make_tree(tmp_path, ["good", "gone"]))
    assert outcomes == {"good": "killed", "gone": "not applicable"}, printed
    assert code == 1


def test_a_run_without_end_is_stopped(tmp_path: Path) -> None:
    code, printed, outcomes = mutate(make_tree(tmp_path, ["good"]), timeout=0.0)
    assert outcomes == {"good": "broken"}, printed  # and it hangs without the mutation too
    assert "without the mutation: tests/test_toy.py: still running after 0 s" in printed
    assert code == 1


def test_an_interrupted_session_tells_what_it_knows_and_leaves_nothing_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = tmp_path / "endless"
    monkeypatch.setenv("TOY_ENDLESS", str(endless))
    root = make_tree(tmp_path / "tree", ["good", "endless", "weak"])
    pipe = subprocess.PIPE
    with subprocess.Popen(command(root, "--jobs", "1"), stdout=pipe, text=True) as session:
        assert session.stdout is not None
        assert "killed" in session.stdout.readline()
        while not (endless.exists() and endless.read_text()):
            time.sleep(0.01)
        session.terminate()
        printed = session.stdout.read()
    assert "interrupted; this is what is known so far" in printed
    assert outcomes_in(printed) == {"good": "killed", "endless": "not run", "weak": "not run"}
    assert session.returncode == 1
    with pytest.raises(ProcessLookupError):
        os.kill(int(endless.read_text()), 0)


def test_a_mutation_that_hangs_its_tests_is_killed() -> None:
    mutation = Mutation(room="toys", name="a", file="f", old="a", new="b", tests=("t",))
    judged = judge(mutation, None, [], "still running after 600 s")
    assert judged == ("killed", "still running after 600 s", ("t",))


def test_one_mutation_does_not_outlive_its_run(tmp_path: Path) -> None:
    root = make_tree(tmp_path, ["good", "weak"])  # applied in the same copy, of the same size
    _, printed, outcomes = mutate(root, "--jobs", "1")
    assert outcomes == {"good": "killed", "weak": "survived"}, printed


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    code, printed, _ = mutate(make_tree(tmp_path, ["good"]), "god")
    assert code == 2
    assert "no mutation or room is called god; rooms: toys" in printed


def test_choice_by_room_and_name() -> None:
    def mutation(room: str, name: str) -> Mutation:
        return Mutation(room=room, name=name, file="f", old="a", new="b", tests=("t",))

    a, b, c = mutation("model", "a"), mutation("model", "b"), mutation("pages", "c")
    assert choose([a, b, c], []) == [a, b, c]
    assert choose([a, b, c], ["b", "pages"]) == [b, c]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "'red'"}, "missing \\[\\], unknown \\['colour'\\]"),
        ({"file": ""}, "missing \\['file'\\], unknown \\[\\]"),
        ({"to": "'a'"}, "it must change the text"),
        ({"tests": "[]"}, "and name tests"),
    ],
)
def test_entries_are_checked(tmp_path: Path, change: dict[str, str], message: str) -> None:
    entry = {"name": "'n'", "file": "'f'", "from": "'a'", "to": "'b'", "tests": "['t']", **change}
    lines = "".join(f"{key} = {value}\n" for key, value in entry.items() if value)
    (tmp_path / "room.toml").write_text(f"[[mutation]]\n{lines}")
    with pytest.raises(ListError, match=message):
        read_list(tmp_path / "room.toml")


def test_names_are_unique(tmp_path: Path) -> None:
    make_tree(tmp_path, ["good", "good"])
    with pytest.raises(ListError, match="the same name: good"):
        read_lists(tmp_path / "scripts" / "mutations")


def test_every_mutation_of_the_lists_applies() -> None:
    for mutation in read_lists(LISTS):
        source = mutation.source(ROOT)
        label = f"{mutation.room} {mutation.name} in {mutation.file}"
        assert source is not None, f"{label}: the text does not occur exactly once"
        if mutation.file.endswith(".py"):
            compile(source, mutation.file, "exec")
        for test in mutation.tests:
            if not test.startswith("-"):
                file = ROOT / test.split("::")[0]
                assert file.exists(), f"{label}: there is no {file}"
