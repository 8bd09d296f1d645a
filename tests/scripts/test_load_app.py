"""Fifty visitors of the page: what a row is made of, with a page that answers at once."""

import io
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import load_app
import pytest

gradio_client = pytest.importorskip("gradio_client", reason="the extra app is not installed")
AppError = gradio_client.exceptions.AppError


class Page:
    """Starts, answers every other request, and ends as it is told."""

    returncode = 143
    asked: ClassVar[list[str]] = []

    def __init__(self, command: list[str], *, env: dict[str, str], **_: Any) -> None:
        assert command[-3:] == ["app", "drums_2bar", "--no_open"]
        self.stdout = io.StringIO("a library: hello\nhttp://127.0.0.1:7860/\n")
        (Path(env["TMPDIR"]) / "left.mid").touch()

    def __enter__(self) -> "Page":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def terminate(self) -> None:
        self.asked.append("terminate")


class Client:
    def __init__(self, address: str, **_: Any) -> None:
        assert address == "http://127.0.0.1:7860/"

    def predict(self, *, api_name: str, **_: Any) -> None:
        Page.asked.append(api_name)
        if len(Page.asked) % 2:
            raise AppError("it broke")
        if len(Page.asked) > 6:
            raise ConnectionError("it is gone")


def test_a_row_has_waits_errors_and_how_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    Page.asked.clear()
    monkeypatch.setattr(subprocess, "Popen", Page)
    monkeypatch.setattr(gradio_client, "Client", Client)
    monkeypatch.setattr(gradio_client, "handle_file", lambda clip: clip)
    monkeypatch.setattr(load_app, "others_use", lambda: 0.5)
    now = iter(range(100))
    monkeypatch.setattr(
        load_app, "time", SimpleNamespace(sleep=lambda _: None, monotonic=lambda: next(now))
    )
    row = load_app.visited("drums_2bar", [Path("a.mid")], 1, 2.0)
    assert {*Page.asked} == {"/sample", "/process", "terminate"}
    assert (row["requests"], row["wait_p50"], row["ended_cleanly"]) == (7, 1.0, False)
    assert row["errors"] == ["AppError: it broke"] * 4 + ["ConnectionError: it is gone"]
    assert "1 for 2 minutes | 7, 5 | 1.0 s, 1.0 s (busy machine) | no |" in load_app.table([row])
