"""What several test files share: the place of the real data, and two trained models."""

import os
import signal
from pathlib import Path

import pytest

pytest_plugins = ("trained",)

os.environ["HF_HUB_OFFLINE"] = "1"  # no test asks the network, nor does a process that it starts

# Shells start jobs in the background, and nohup all jobs, deaf to some signals. Tests send them.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The real data, which are no part of the project."""
    if not DATA.is_dir():
        pytest.skip(f"the real data are not in {DATA}")
    return DATA
