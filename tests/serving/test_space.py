"""A Space of a model: what a hub needs to show the page."""

import ast
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml
from trained import Trained

import seqvae
from seqvae.errors import InputError
from seqvae.serving.space import GRADIO, requirements, write_space

ROOT = Path(__file__).parents[2]


def test_a_space_has_its_head_its_code_and_its_model(melodies: Trained, tmp_path: Path) -> None:
    (tmp_path / "space/.git").mkdir(parents=True)
    for _ in range(2):
        write_space(melodies.run, tmp_path / "space")
    made = {place.name for place in (tmp_path / "space").iterdir()}
    assert made == {".git", "README.md", "app.py", "requirements.txt", "models", "seqvae"}
    _, head, text = (tmp_path / "space/README.md").read_text(encoding="utf-8").split("---\n", 2)
    fields = yaml.safe_load(head)
    assert (fields["sdk"], fields["sdk_version"], fields["app_file"]) == (
        "gradio", GRADIO, "app.py",
    )  # fmt: skip
    assert fields["title"] == "tiny"
    assert "# tiny" in text
    (model,) = (tmp_path / "space/models").iterdir()
    assert len(seqvae.load(model).sample(1, seed=1)) == 1
    assert (tmp_path / "space/seqvae/pages/roll.js").is_file()
    assert not [*(tmp_path / "space/seqvae").rglob("__pycache__")]


def test_its_program_serves_the_model_to_everybody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[Any] = []
    monkeypatch.setattr(
        "seqvae.serving.app.serve", lambda *given, browser: served.append((*given, browser))
    )
    write_space(Path("drums_2bar"), tmp_path)
    ast.parse((tmp_path / "app.py").read_text(encoding="utf-8"))
    runpy.run_path(str(tmp_path / "app.py"))  # as a process does that it starts
    assert served == []
    monkeypatch.setattr("sys.argv", ["app.py"])
    runpy.run_path(str(tmp_path / "app.py"), run_name="__main__")
    assert served == [(Path("models/drums_2bar"), "0.0.0.0", 7860, False)]
    head = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "license: cc-by-4.0" in head
    assert "Two bars of drums" in head


def test_requirements_are_those_of_the_package() -> None:
    names = {re.split(r"[^\w.-]", each)[0].replace("-", "_") for each in requirements()}
    assert names >= {"torch", "pretty_midi", "symusic", "sentencepiece", "jaxtyping"}
    assert not names & {"gradio", "pytest", "matplotlib"}
    pinned = (ROOT / "scripts/constraints.txt").read_text()
    assert f"gradio=={GRADIO}\n" in pinned


def test_a_file_is_no_place_for_it(melodies: Trained, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(InputError, match="taken: a file; name a folder"):
        write_space(melodies.run, tmp_path / "taken")
