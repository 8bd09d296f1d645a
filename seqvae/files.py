"""Files on disk: what a name, a folder or a glob stands for, and what in it is no data."""

import glob
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from seqvae.errors import InputError

# In lower case; those that begin with a dot are left out as hidden.
FOLDERS_OF_SYSTEMS = frozenset(
    {"__macosx", "__pycache__", "$recycle.bin", "system volume information", "@eadir", "lost+found"}
)
FILES_OF_SYSTEMS = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"})
BACKUP_SUFFIXES = (
    "~", ".bak", ".tmp", ".temp", ".swp", ".orig", ".old", ".part", ".partial", ".crdownload",
)  # fmt: skip
ABOUT_THE_DATA = frozenset(
    {"readme", "license", "licence", "copying", "copyright", "notice", "changelog", "changes"}
)


@dataclass(frozen=True)
class Found:
    """The files of a place, and how many others were passed over, by reason."""

    files: list[Path] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)


def expanded(place: str | os.PathLike[str]) -> Path:
    """A path whose `~` is the home of the user; an unknown `~name` stays as it is."""
    path = os.path.expanduser(place)  # noqa: PTH111  # Path.expanduser raises on unknown ones
    return place if isinstance(place, Path) and path == str(place) else Path(path)


def is_file(name: str | os.PathLike[str]) -> bool:
    """Whether there is a file of this name; many a text cannot be one."""
    try:
        return expanded(name).is_file()
    except (OSError, ValueError):  # too long, or characters that no name has
        return False


def is_folder(name: str | os.PathLike[str]) -> bool:
    """Whether there is a folder of this name."""
    try:
        return expanded(name).is_dir()
    except (OSError, ValueError):
        return False


def find_files(place: str, suffixes: Collection[str]) -> Found:
    """A file; or all files of a folder that have one of the suffixes; or what matches a glob.

    Folders are walked through links, each once. A file that is named is taken whatever it is; among
    others, those that are hidden, or belong to systems and tools, are passed over.

    Raises:
        InputError: there is no such place.
    """
    path = expanded(place)
    try:
        if not place.strip():
            raise ValueError("the name is empty")
        if path.is_file():
            return Found([path])
        if path.is_dir():
            return _in_folder(path, suffixes)
        matches = sorted(Path(match) for match in glob.glob(str(path), recursive=True))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{place[:80]!r}: no file or folder ({reason})") from error
    if not matches:
        raise InputError(f"{place}: no such file or folder, and no file matches it as a glob")
    literal = next((i for i, part in enumerate(path.parts) if glob.has_magic(part)), 0)
    return _among(matches, literal, suffixes)


def refuse_input(out: Path, flag: str, inputs: Iterable[str | os.PathLike[str]]) -> None:
    """Refuse to write over a file that is read, whatever it is called there.

    Raises:
        InputError: `out`, which `flag` names, is one of the inputs.
    """
    if out.exists() and any(is_file(file) and out.samefile(expanded(file)) for file in inputs):
        raise InputError(f"{flag} {out}: one of the inputs, which would be lost; name another file")


def _among(matches: list[Path], literal: int, suffixes: Collection[str]) -> Found:
    """The files that match a glob, whose first parts are literal, and those of its folders."""
    found = Found()
    for match in matches:
        why = why_no_data(match.name)
        if why is None and any(map(is_of_systems, match.parts[literal:])):
            why = "files of systems and tools"
        if why:
            found.passed_over[why] += 1
        elif match.is_dir():
            inside = _in_folder(match, suffixes)
            found.files.extend(inside.files)
            found.passed_over.update(inside.passed_over)
        elif match.is_file():
            found.files.append(match)
        else:
            found.passed_over["pipes, devices and links that lead nowhere"] += 1
    return found


def _in_folder(folder: Path, suffixes: Collection[str]) -> Found:
    found = Found()
    for file in _walk(folder, found.passed_over):
        lowered = file.name.lower()
        why = why_no_data(file.name)
        if why is None and not lowered.endswith(tuple(suffixes)):
            why = f"*{file.suffix.lower()}" if file.suffix else "files without a suffix"
        if why is None and not file.is_file():
            why = "pipes, devices and links that lead nowhere"
        if why is None:
            found.files.append(file)
        else:
            found.passed_over[why] += 1
    found.files.sort()
    return found


def _walk(folder: Path, passed_over: Counter[str]) -> Iterator[Path]:
    """All files below a folder; each folder once, however many links lead to it."""
    seen: set[tuple[int, int]] = set()

    def unreadable(_: OSError) -> None:
        passed_over["folders that cannot be read"] += 1

    for where, folders, names in os.walk(folder, followlinks=True, onerror=unreadable):
        status = Path(where).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        kept = sorted(name for name in folders if not is_of_systems(name))
        if len(kept) < len(folders):
            passed_over["folders that are hidden, or of systems and tools"] += len(folders) - len(
                kept
            )
        folders[:] = kept
        yield from (Path(where, name) for name in names)


def is_of_systems(name: str) -> bool:
    """Whether a folder of this name is hidden, or belongs to a system or a tool."""
    return name.startswith(".") or name.lower() in FOLDERS_OF_SYSTEMS


def why_no_data(name: str) -> str | None:
    """Why a file of this name is passed over, if it is."""
    lowered = name.lower()
    if lowered.startswith("._"):
        return "companions of macOS"
    if lowered.startswith("."):
        return "hidden files"
    if lowered in FILES_OF_SYSTEMS or lowered.startswith("~$") or lowered.endswith(BACKUP_SUFFIXES):
        return "files of systems, temporary files and backups"
    if lowered.partition(".")[0] in ABOUT_THE_DATA:
        return "readmes and licences"
    return None
