"""What a file name, a folder or a glob stands for."""

import os
from collections import Counter
from pathlib import Path

import pytest

from seqvae.errors import InputError
from seqvae.files import expanded, find_files, is_file, is_folder, why_no_data

SUFFIXES = (".txt", ".txt.gz")


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x\n", encoding="utf-8")


def names_in(place: str, folder: Path) -> list[str]:
    files = find_files(place, SUFFIXES).files
    return [file.relative_to(folder).as_posix() for file in files]


def test_companions_hidden_files_and_other_kinds_are_counted(tmp_path: Path) -> None:
    touch(tmp_path, "b.txt", "sub/a.TXT", "c.txt.gz")
    touch(tmp_path, "._b.txt", "sub/._a.TXT", ".hidden.txt", ".git/x.txt", "__MACOSX/sub/y.txt")
    touch(tmp_path, "~$b.txt", "b.txt~", "b.txt.bak", "README.txt", "sub/license.txt", "LICENSE")
    touch(tmp_path, ".DS_Store", "Thumbs.db", "desktop.ini", "a.pdf", "b.pdf", "notes")
    touch(tmp_path, "readme_of_mine.txt", ".ipynb_checkpoints/b.txt")
    found = find_files(str(tmp_path), SUFFIXES)
    names = [file.relative_to(tmp_path).as_posix() for file in found.files]
    assert names == ["b.txt", "c.txt.gz", "readme_of_mine.txt", "sub/a.TXT"]
    assert found.passed_over == Counter(
        {
            "companions of macOS": 2,
            "hidden files": 2,
            "folders that are hidden, or of systems and tools": 3,
            "files of systems, temporary files and backups": 5,
            "readmes and licences": 3,
            "*.pdf": 2,
            "files without a suffix": 1,
        }
    )


def test_links_are_followed_and_each_folder_is_walked_once(tmp_path: Path) -> None:
    touch(tmp_path / "data", "own/a.txt")
    touch(tmp_path / "elsewhere", "b.txt", "deep/c.txt")
    touch(tmp_path, "one.txt")
    (tmp_path / "data" / "shared").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "shared_again").symlink_to(tmp_path / "elsewhere" / "deep")
    (tmp_path / "elsewhere" / "loop").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "file.txt").symlink_to(tmp_path / "one.txt")
    (tmp_path / "data" / "dead.txt").symlink_to(tmp_path / "nowhere")
    (tmp_path / "data" / "itself.txt").symlink_to("itself.txt")
    assert names_in(str(tmp_path / "data"), tmp_path / "data") == [
        "file.txt", "own/a.txt", "shared/b.txt", "shared/deep/c.txt",
    ]  # fmt: skip
    passed_over = find_files(str(tmp_path / "data"), SUFFIXES).passed_over
    assert passed_over == {"pipes, devices and links that lead nowhere": 2}
    (tmp_path / "root").symlink_to(tmp_path / "data")
    assert len(find_files(str(tmp_path / "root"), SUFFIXES).files) == 4


def test_a_folder_of_a_system_may_hold_the_data(tmp_path: Path) -> None:
    folder = tmp_path / ".cache" / "lost+found" / "readme"
    touch(folder, "a.txt", "notice/b.txt")
    assert names_in(str(folder), folder) == ["a.txt", "notice/b.txt"]
    assert names_in(f"{folder}/*.txt", folder) == ["a.txt"]


def test_a_glob_follows_the_rules_of_folders(tmp_path: Path) -> None:
    touch(tmp_path, "a.txt", "~$a.txt", "README.txt", "__MACOSX/b.txt", "sub/c.txt", "sub/d.pdf")
    assert names_in(f"{tmp_path}/*", tmp_path) == ["a.txt", "sub/c.txt"]
    assert names_in(f"{tmp_path}/**/*.txt", tmp_path) == ["a.txt", "sub/c.txt"]
    found = find_files(f"{tmp_path}/**/*.txt", SUFFIXES)
    assert found.passed_over.total() == 3


def test_a_file_that_is_named_is_taken(tmp_path: Path) -> None:
    touch(tmp_path, "._a.txt", "README.md", "[draft].txt", "[draft]/*.txt")
    for name in ("._a.txt", "README.md", "[draft].txt", "[draft]/*.txt"):
        assert names_in(str(tmp_path / name), tmp_path) == [name]
    assert names_in(str(tmp_path / "[draft]"), tmp_path) == ["[draft]/*.txt"]


@pytest.mark.parametrize("place", ["absent", "*.absent", "a" * 5000, "a\0b", "\ud83d", ""])
def test_what_is_no_place_is_an_input_error(place: str) -> None:
    with pytest.raises(InputError, match=r"no such file or folder|no file or folder"):
        find_files(place, SUFFIXES)


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    found = find_files(str(tmp_path / "p*"), SUFFIXES)
    assert not found.files
    assert found.passed_over == {"pipes, devices and links that lead nowhere": 1}


def test_a_folder_that_cannot_be_read_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a.txt", "closed/b.txt")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if Path(path).name == "closed":
            raise PermissionError(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = find_files(str(tmp_path), SUFFIXES)
    assert [file.name for file in found.files] == ["a.txt"]
    assert found.passed_over == {"folders that cannot be read": 1}


def test_a_home_is_expanded_if_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, "a.txt", "~nobody_of_this_name/b.txt")
    assert expanded("~/a.txt") == tmp_path / "a.txt"
    assert names_in("~", tmp_path) == ["a.txt", "~nobody_of_this_name/b.txt"]
    assert [f.name for f in find_files("~nobody_of_this_name", SUFFIXES).files] == ["b.txt"]
    assert expanded(tmp_path / "x") == tmp_path / "x"


def test_a_text_is_a_file_only_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, "a.txt")
    assert is_file("a.txt")
    for text in (
        "b.txt",
        "",
        ".",
        "\u0412\u0435\u0440 1.0 " * 40,
        "a\0",
        "\ud83d",
    ):
        assert not is_file(text)
        assert is_folder(text) == (text in ("", "."))


def test_a_name_tells_what_is_no_data() -> None:
    for name in ("a.txt", "readme2.mid", "~a.txt", "My ~$x.txt", "template.txt", "part.mid"):
        assert why_no_data(name) is None
    for name in ("x.part", "x.mid.CRDOWNLOAD", "ReadMe", "Icon\r", "licence.md", "a.old"):
        assert why_no_data(name) is not None


def test_a_home_is_expanded_in_one_place() -> None:
    package = Path(__file__).parents[1] / "seqvae"
    places = [f for f in package.rglob("*.py") if "expanduser(" in f.read_text(encoding="utf-8")]
    assert places == [package / "files.py"]  # pathlib's own raises where there is no such user
