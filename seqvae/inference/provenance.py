"""How a figure was made: what stands beside it, so that anybody can make it again."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import seqvae


def provenance(command: str, *, seed: int, seconds: float) -> dict[str, Any]:
    """Command, commit, seed, duration in seconds and versions, ready for JSON."""
    return {
        "command": command,
        "commit": commit(),
        "seed": seed,
        "seconds": round(seconds, 1),
        "versions": versions(),
    }


def commit() -> str:
    """The commit of the checkout that the package lies in, or its version if it is installed.

    It ends in "-dirty" if files of the checkout differ from the commit.
    """
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return seqvae.__version__
    command = ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):  # no git here, or no commit yet
        return seqvae.__version__
    return done.stdout.strip()


def versions() -> dict[str, str]:
    """The versions that figures may depend on."""
    return {
        "python": platform.python_version(),
        "seqvae": seqvae.__version__,
        **{name: version(name) for name in ("torch", "lightning")},
    }
