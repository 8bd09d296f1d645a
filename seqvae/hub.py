"""Models on the Hugging Face Hub: `owner/name` stands for a repository that holds a bundle.

What lies in the cache is taken without asking the network. Only files that a bundle has are
fetched. All of them are data, and nothing of a repository is executed.
"""

import contextlib
import errno
import hashlib
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqvae.errors import InputError
from seqvae.files import is_folder

NEEDED = ("config.json", "tokenizer.json", "model.safetensors")
FILES = (
    *NEEDED, "prior.safetensors", "README.md",
    "attributes.json", "attributes.safetensors", "movement.json",
)  # fmt: skip
MAX_BYTES = 4 * 2**30  # of all files together
REPOSITORY = re.compile(r"(?P<id>[\w][\w.-]*/[\w][\w.-]*)(?:@(?P<revision>[\w./-]+))?", re.ASCII)
UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN)
INSTALL = "pip install 'seqvae[hub]'"


@dataclass(frozen=True, kw_only=True)
class Hub:
    """How a repository is looked up."""

    revision: str | None = None
    """A branch, a tag or a commit. The hub is asked for it; without one, what is in the cache is
    taken as it is."""
    token: str | None = None
    """For private repositories; by default that of `hf auth login`."""
    cache_dir: str | Path | None = None
    """By default that of the hub's own tools."""
    local_files_only: bool = False
    """Never ask the network."""


def is_repository(place: str) -> bool:
    """Whether a name may be that of a repository: it is `owner/name`, and no `owner` lies here."""
    return REPOSITORY.fullmatch(place) is not None and not is_folder(place.partition("/")[0])


def fetched(place: str, how: Hub) -> Path:
    """The folder in the cache of a repository `owner/name` or `owner/name@revision`.

    Raises:
        InputError: it is not there, holds no model of seqvae, or does not arrive whole.
    """
    named = REPOSITORY.fullmatch(place)
    assert named is not None
    try:
        import huggingface_hub
    except ImportError as error:
        raise InputError(
            f"{place}: no such folder; if it is on the Hugging Face Hub, {INSTALL} first"
        ) from error
    revision = how.revision or named["revision"]
    wanted: dict[str, Any] = {
        "repo_id": named["id"],
        "revision": revision,
        "cache_dir": how.cache_dir,
        "token": how.token,
        "allow_patterns": list(FILES),
    }
    if revision is None or how.local_files_only:
        with contextlib.suppress(OSError):
            folder = Path(huggingface_hub.snapshot_download(**wanted, local_files_only=True))
            if all((folder / name).is_file() for name in NEEDED):
                return _checked(folder)
    if how.local_files_only:
        raise InputError(f"{place}: no such folder, and not in the cache of the hub")
    try:
        listed = huggingface_hub.HfApi(token=how.token).model_info(
            named["id"], revision=revision, files_metadata=True
        )
        _check_listing(place, {file.rfilename: file.size or 0 for file in listed.siblings or ()})
        folder = Path(huggingface_hub.snapshot_download(**wanted))
    except InputError:
        raise
    except Exception as error:  # of the hub, or of whatever it asks the network with
        offline = huggingface_hub.errors.OfflineModeIsEnabled
        if is_of_network(error) and not isinstance(error, offline):
            raise InputError(
                f"{place}: no such folder, and the hub could not be asked (no connection)"
            ) from error
        raise InputError(
            f"{place}: no such folder, and the hub says: {first_line(error)}"
        ) from error
    return _checked(folder)


def _check_listing(place: str, sizes: dict[str, int]) -> None:
    """Look at the files of a repository before any of them is fetched."""
    if missing := [name for name in NEEDED if name not in sizes]:
        raise InputError(f"{place}: no model of seqvae; its repository has no {missing[0]}")
    total = sum(sizes.get(name, 0) for name in FILES)
    if total > MAX_BYTES:
        raise InputError(f"{place}: {total} bytes; at most {MAX_BYTES} are fetched")


def _checked(folder: Path) -> Path:
    """A folder of the cache whose files are what their names in the cache say.

    A file there is a link to one that is named for its content: by its SHA-256 where the hub keeps
    it apart as large, else as git does. Where a system has no links, nothing is checked.
    """
    for name in FILES:
        blob = (folder / name).resolve()
        if not blob.is_file() or blob.name == name:
            continue
        content = blob.read_bytes()
        by_git = hashlib.sha1(b"blob %d\0" % len(content), usedforsecurity=False)
        by_git.update(content)
        if blob.name not in (hashlib.sha256(content).hexdigest(), by_git.hexdigest()):
            raise InputError(f"{folder / name}: not what the hub has; delete {folder.parents[1]}")
    return folder


def is_of_network(error: BaseException) -> bool:
    """Whether the hub was not reached: it is an error of the network, or one is behind it."""
    unreachable = isinstance(error, OSError) and error.errno in UNREACHABLE
    if unreachable or isinstance(error, ConnectionError | TimeoutError | socket.gaierror):
        return True
    behind = error.__cause__ or error.__context__
    return behind is not None and is_of_network(behind)


def first_line(error: Exception) -> str:
    """The first line of an error that says something."""
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in lines if line), type(error).__name__)[:160]
