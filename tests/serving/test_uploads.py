"""What visitors send is private, and does not stay."""

import os
import stat
import time
from pathlib import Path

from seqvae.serving.uploads import VARIABLE, private_folder, sweep


def test_the_folder_is_private_and_gone_afterwards() -> None:
    before = os.environ.get(VARIABLE)
    with private_folder() as folder:
        assert os.environ[VARIABLE] == str(folder)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "upload").mkdir()
        (folder / "upload/mine.mid").write_bytes(b"mine")
    assert not folder.exists()
    assert os.environ.get(VARIABLE) == before


def test_old_files_and_folders_are_swept(tmp_path: Path) -> None:
    for name in ("old", "new", "mixed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.mid").write_bytes(b"")
    (tmp_path / "mixed/b.mid").write_bytes(b"")
    past = time.time() - 100
    for place in ("old/a.mid", "old", "mixed/b.mid"):
        os.utime(tmp_path / place, (past, past))
    sweep(tmp_path, 50)
    left = sorted(str(place.relative_to(tmp_path)) for place in tmp_path.rglob("*"))
    assert left[:4] == ["mixed", "mixed/a.mid", "new", "new/a.mid"]
    os.utime(tmp_path / "old", (past, past)) if (tmp_path / "old").exists() else None
    sweep(tmp_path, 50)
    assert not (tmp_path / "old").exists()
