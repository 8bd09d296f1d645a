"""What several test files share: the place of the real data, and two trained models."""

from pathlib import Path

import pytest

pytest_plugins = ("trained",)

DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The real data, which are no part of the project."""
    if not DATA.is_dir():
        pytest.skip(f"the real data are not in {DATA}")
    return DATA
