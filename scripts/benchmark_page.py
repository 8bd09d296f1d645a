"""How quickly the page of `seqvae play` answers, and whether it lasts.

    python scripts/benchmark_page.py drums_2bar melody_2bar

For each model its page is opened in Chromium, without a window. `first_sound` is the time from a
click on Play until the clock of the sound card reaches the first note; `drag` the time from a move
of the puck to new notes, over 300 random places. Then random play goes on for `--minutes`: the
puck, the square, variations, sliders and edits. Requests, errors and the memory are counted.
"""

import argparse
import json
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_speed import BUSY, machine, others_use
from benchmarking import markdown

from seqvae.disk import write_file
from seqvae.inference.provenance import provenance
from seqvae.pages.play import write_play

RESULTS = Path(__file__).parent / "results" / "page.json"
FLAGS = (
    "--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--js-flags=--expose-gc",
    "--enable-precise-memory-info",
)  # fmt: skip
NUM_DRAGS = 300
# The first sound that is scheduled: when, on the clock of its context.
LISTEN = """
window.firstSound = null;
for (const kind of [AudioScheduledSourceNode, AudioBufferSourceNode]) {
  const { start } = kind.prototype;  // buffers have one of their own
  kind.prototype.start = function (when = 0, ...rest) {
    window.firstSound ??= { context: this.context, when };
    return start.call(this, when, ...rest);
  };
}
"""
FIRST_SOUND = """async () => {
  const clicked = performance.now();
  playButtonOf.click();
  const isHeard = () => window.firstSound?.context.currentTime >= window.firstSound?.when;
  while (!isHeard()) await new Promise((done) => setTimeout(done, 2));
  return performance.now() - clicked;
}"""
DRAGS = """async (count) => {
  const taken = [];
  for (let i = 0; i < count; i += 1) {
    const begin = performance.now();
    const heard = new Promise((done) => {
      const { setNotes } = Looper.prototype;
      looper.setNotes = (notes) => {
        delete looper.setNotes;
        setNotes.call(looper, notes);
        done();
      };
    });
    mapPad.moveTo([Math.random(), Math.random()]);
    moveOnMap(true);
    await heard;
    taken.push(performance.now() - begin);
    await new Promise((done) => setTimeout(done, 20));
  }
  return taken;
}"""
PLAY = """async (seconds) => {
  const end = performance.now() + 1000 * seconds;
  const any = (list) => list[Math.floor(Math.random() * list.length)];
  const place = () => [Math.random(), Math.random()];
  const acts = [
    () => { mapPad.moveTo(place()); return moveOnMap(true); },
    () => { squarePad.moveTo(place()); return moveInSquare(true); },
    () => vary(Math.random()),
    () => surprise(),
    () => edit(instrument.notes.filter(() => Math.random() < 0.9)),
    () => instrument.undo(),
    () => setTempo(60 + 120 * Math.random()),
    () => {
      const slider = any([...document.querySelectorAll("input[type=range]")]);
      slider.value = Number(slider.min) + Math.random() * (slider.max - slider.min);
      slider.dispatchEvent(new Event("input"));
      slider.dispatchEvent(new Event("change"));
    },
  ];
  let count = 0;
  while (performance.now() < end) {
    await any(acts)();
    count += 1;
    await new Promise((done) => setTimeout(done, 100));
  }
  return count;
}"""
MEMORY = "() => { gc(); return performance.memory.usedJSHeapSize / 2 ** 20; }"


def measured(browser: Any, model: str, folder: Path, minutes: float) -> dict[str, Any]:
    """A row of the results."""
    page = folder / f"{Path(model).name}.html"
    write_play(Path(model), page)
    wrong, asked = list[str](), list[str]()
    load = others_use()
    tab = browser.new_page()
    tab.add_init_script(LISTEN)
    tab.on("console", lambda message: wrong.append(message.text))
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(page.as_uri())
    while not tab.evaluate("instrument.notes.length > 0"):
        tab.wait_for_timeout(20)
    sound = tab.evaluate(FIRST_SOUND)
    drags = np.array(tab.evaluate(DRAGS, NUM_DRAGS))
    before = tab.evaluate(MEMORY)
    num_acts = tab.evaluate(PLAY, 30 * minutes)
    halfway = tab.evaluate(MEMORY)
    num_acts += tab.evaluate(PLAY, 30 * minutes)
    after = tab.evaluate(MEMORY)
    tab.close()
    return {
        "name": model,
        "megabytes": round(page.stat().st_size / 1e6, 1),
        "first_sound_ms": round(sound),
        "drag_p50_ms": round(float(np.quantile(drags, 0.5))),
        "drag_p95_ms": round(float(np.quantile(drags, 0.95))),
        "minutes": minutes,
        "acts": num_acts,
        "requests": len([url for url in asked if not url.startswith(("file:", "blob:", "data:"))]),
        "errors": wrong,
        "mib_before": round(before, 1),
        "mib_halfway": round(halfway, 1),
        "mib_after": round(after, 1),
        "load": load,
        "quiet": load <= BUSY,
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    return markdown(
        ["page", "first sound", "drag to new notes: median, p95", "random play", "requests, errors",
         "memory: before, halfway, after"],
        [
            [f"`{row['name']}`, {row['megabytes']} MB", f"{row['first_sound_ms']} ms",
             f"{row['drag_p50_ms']} ms, {row['drag_p95_ms']} ms"
             + ("" if row["quiet"] else " (busy machine)"),
             f"{row['acts']:,} acts in {row['minutes']:g} minutes",
             f"{row['requests']}, {len(row['errors'])}",
             f"{row['mib_before']}, {row['mib_halfway']}, {row['mib_after']} MiB"]
            for row in rows
        ],
    )  # fmt: skip


def make_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("models", nargs="+", help="runs, bundles, or names of models that ship")
    parser.add_argument("--minutes", type=float, default=30.0, help="of random play, each")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of the results")
    return parser


def main() -> None:
    """Measure, print and keep the rows."""
    options, begin = make_parser().parse_args(), time.monotonic()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=list(FLAGS)
        )
        rows = [measured(browser, name, Path(folder), options.minutes) for name in options.models]
        browser.close()
    about = provenance(shlex.join(["python", *sys.argv]), seed=0, seconds=time.monotonic() - begin)
    results = {"machine": machine(), "rows": rows, **about}
    write_file(options.results, json.dumps(results, indent=2) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
