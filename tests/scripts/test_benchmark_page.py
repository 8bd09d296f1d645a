"""The benchmark of the page of `play`: what a row is made of, with a page that answers at once."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import benchmark_page
import pytest


class Tab:
    """A page whose puck takes 1 to 100 ms, and whose memory grows by a MiB each time."""

    def __init__(self) -> None:
        self.heard: dict[str, Callable[[Any], None]] = {}
        self.memory = 7.0
        self.seconds: list[float] = []
        self.scripts: list[str] = []

    def add_init_script(self, script: str) -> None:
        self.scripts.append(script)

    def on(self, event: str, act: Callable[[Any], None]) -> None:
        self.heard[event] = act

    def goto(self, url: str) -> None:
        for asked in (url, "https://example.org/x.js", "blob:1"):
            self.heard["request"](SimpleNamespace(url=asked))
        self.heard["pageerror"](ValueError("it broke"))

    def evaluate(self, code: str, given: Any = None) -> Any:
        if code == benchmark_page.FIRST_SOUND:
            return 123.4
        if code == benchmark_page.DRAGS:
            assert given == benchmark_page.NUM_DRAGS
            return [float(ms) for ms in range(1, 101)]
        if code == benchmark_page.PLAY:
            self.seconds.append(given)
            return 10
        if code == benchmark_page.MEMORY:
            self.memory += 1
            return self.memory
        return True

    def close(self) -> None:
        self.seconds.append(0)


def test_a_row_has_times_errors_and_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark_page, "write_play", lambda _, page: page.write_text("x" * 10**6))
    monkeypatch.setattr(benchmark_page, "others_use", lambda: 0.5)
    tab = Tab()
    browser = SimpleNamespace(new_page=lambda: tab)
    row = benchmark_page.measured(browser, "runs/mine", tmp_path, 30.0)
    assert tab.seconds == [900.0, 900.0, 0]
    assert tab.scripts == [benchmark_page.LISTEN]
    assert "AudioBufferSourceNode" in benchmark_page.LISTEN  # noise begins by a method of its own
    assert (row["first_sound_ms"], row["drag_p50_ms"], row["drag_p95_ms"]) == (123, 50, 95)
    assert (row["requests"], row["errors"], row["acts"]) == (1, ["it broke"], 20)
    assert [row[f"mib_{when}"] for when in ("before", "halfway", "after")] == [8, 9, 10]
    assert (row["megabytes"], row["quiet"]) == (1.0, False)
    assert "`runs/mine`, 1.0 MB | 123 ms | 50 ms, 95 ms (busy machine) | 20 acts" in (
        benchmark_page.table([row])
    )
