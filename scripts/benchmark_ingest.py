"""How fast MIDI files become sequences, beside the same extraction through pretty_midi.

    python scripts/benchmark_ingest.py --melodies nottingham/MIDI/melody --songs pop909

Melodies become what `configs/melody_2bar.yaml` trains on; songs what `configs/piano_4bar.yaml`
does, on the beats of the beat_midi.txt beside each. Times are CPU seconds of one process, with the
files in the page cache; the best of three rounds. Memory is the peak of the process that collects
what workers read, for one collection and for ten of its size. `workers` and `starts` are in the
time of a clock, and need a quiet machine. With `--before CHECKOUT` both read the same files by
turns, and both run `seqvae prepare` on whole collections, with all that this does besides.
"""

import argparse
import contextlib
import json
import os
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pretty_midi
import yaml
from benchmarking import markdown

from seqvae.corpus.config import DataConfig
from seqvae.corpus.prepare import prepare
from seqvae.corpus.scores import PackedResult, extract_file, extract_files
from seqvae.corpus.spool import Spool
from seqvae.disk import write_file
from seqvae.inference.provenance import provenance
from seqvae.music.beat_files import file_beside, read_beats
from seqvae.music.midi import find_midi, read_midi
from seqvae.music.notes import Piece
from seqvae.tokenizers import make_tokenizer
from seqvae.tokenizers.contract import MusicTokenizer

CONFIGS = Path(__file__).parents[1] / "configs"
ROUNDS = 3
COPIES = 20  # of a collection, so that two workers have something to do
COMPARED = 150  # files of a collection that both checkouts read
SLOW_FILES = 50  # as many go through pretty_midi, evenly from the collection


def read_slowly(path: Path, tokenizer: MusicTokenizer, beats: str | None) -> Piece:
    """A file on the grid that pretty_midi has parsed."""
    track = None if beats is None else read_beats(file_beside(path, beats))
    return read_midi(pretty_midi.PrettyMIDI(str(path)), tokenizer.steps_per_quarter, track)


def extract_slowly(path: Path, tokenizer: MusicTokenizer, beats: str | None) -> int:
    """The sequences of a file that pretty_midi has parsed."""
    return len(tokenizer.extract(read_slowly(path, tokenizer, beats)).sequences)


def read_quickly(path: Path, tokenizer: MusicTokenizer, beats: str | None) -> int:
    """The notes of a file on the grid."""
    track = None if beats is None else read_beats(file_beside(path, beats))
    return len(read_midi(path, tokenizer.steps_per_quarter, track).notes)


def extract_quickly(path: Path, tokenizer: MusicTokenizer, beats: str | None) -> int:
    """The sequences of a file."""
    return len(extract_file(path, tokenizer, beats).extraction.sequences)


def seconds_per_file(
    extract: Any, paths: Sequence[Path], tokenizer: MusicTokenizer, beats: str | None
) -> tuple[float, int]:
    """CPU seconds of a file, at best; the sequences of all."""
    rounds = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        num_sequences = sum(extract(path, tokenizer, beats) for path in paths)
        rounds.append((time.process_time() - begin) / len(paths))
    return min(rounds), num_sequences


def speed(folder: Path, config: str, beats: str | None = None) -> dict[str, float]:
    """Files a second, and how many times that of pretty_midi."""
    tokenizer = make_tokenizer(
        yaml.safe_load((CONFIGS / config).read_text(encoding="utf-8"))["data"]["tokenizer"]
    )
    assert tokenizer.modality == "music"
    paths = find_midi(folder)
    if beats is not None:
        paths = [path for path in paths if file_beside(path, beats).is_file()]
    few = paths[:: max(1, len(paths) // SLOW_FILES)]
    ours, num_sequences = seconds_per_file(extract_quickly, paths, tokenizer, beats)
    ours_few, num_few = seconds_per_file(extract_quickly, few, tokenizer, beats)
    theirs_few, num_slowly = seconds_per_file(extract_slowly, few, tokenizer, beats)
    read, _ = seconds_per_file(read_quickly, few, tokenizer, beats)
    return {
        "files": len(paths),
        "sequences": num_sequences,
        "files_per_second": round(1 / ours, 1),
        "files_of_comparison": len(few),
        "sequences_of_comparison": num_few,
        "sequences_by_pretty_midi": num_slowly,
        "times_pretty_midi": round(theirs_few / ours_few, 1),
        # Windows and tokens are the same work for both: without it.
        "times_pretty_midi_reading": round((theirs_few - ours_few + read) / read, 1),
    }


def memory(folder: Path, config: str) -> dict[str, float]:
    """Peak MiB while a collection and ten of its size are collected; what that adds a file."""
    tokenizer = make_tokenizer(
        yaml.safe_load((CONFIGS / config).read_text(encoding="utf-8"))["data"]["tokenizer"]
    )
    assert tokenizer.modality == "music"
    paths, peaks = find_midi(folder), []
    for copies in (1, 10):
        with tempfile.TemporaryDirectory() as place:
            spool = Spool(Path(place), tokenizer)

            def take(_: int, result: PackedResult, spool: Spool = spool) -> None:
                spool.add_packed(result.packed)

            extract_files(paths * copies, tokenizer, 1, take=take)
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return {
        "files": len(paths),
        "peak_mib": round(peaks[0], 1),
        "peak_mib_of_ten_times": round(peaks[1], 1),
        "kib_per_file": round((peaks[1] - peaks[0]) * 1024 / (9 * len(paths)), 2),
    }


def scaling(folder: Path, config: str) -> dict[str, float]:
    """Files a second with one worker and with two, in the time of a clock."""
    tokenizer = make_tokenizer(
        yaml.safe_load((CONFIGS / config).read_text(encoding="utf-8"))["data"]["tokenizer"]
    )
    assert tokenizer.modality == "music"
    paths = find_midi(folder) * COPIES
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(ROUNDS):
        for num_workers, taken in seconds.items():
            with tempfile.TemporaryDirectory() as place:
                spool, begin = Spool(Path(place), tokenizer), [0.0]

                def take(
                    _: int, result: PackedResult, spool: Spool = spool, begin: list[float] = begin
                ) -> None:
                    begin[0] = begin[0] or time.perf_counter()  # from here on workers run
                    spool.add_packed(result.packed)

                extract_files(paths, tokenizer, num_workers, take=take)
                taken.append(time.perf_counter() - begin[0])
    one, two = min(seconds[1]), min(seconds[2])
    return {
        "files": len(paths),
        "files_per_second_of_one": round(len(paths) / one, 1),
        "files_per_second_of_two": round(len(paths) / two, 1),
        "times_one": round(one / two, 2),
    }


def starts(folder: Path, config: str) -> dict[str, float]:
    """Seconds to prepare a corpus, and to find that nothing has changed."""
    settings = yaml.safe_load((CONFIGS / config).read_text(encoding="utf-8"))["data"]
    data = DataConfig(source=str(folder), tokenizer=settings["tokenizer"])
    with tempfile.TemporaryDirectory() as place:
        seconds = []
        for _ in range(2):
            begin = time.perf_counter()
            prepare(data, Path(place) / "corpus")
            seconds.append(round(time.perf_counter() - begin, 2))
    return {"files": len(find_midi(folder)), "first": seconds[0], "second": seconds[1]}


# What a checkout is asked: it answers a line with the CPU milliseconds a file and the sequences.
# What libraries print when they are imported is no answer.
CHILD = """
import json, logging, sys, time
answers, sys.stdout = sys.stdout, sys.stderr
from pathlib import Path
from seqvae.corpus.config import DataConfig
from seqvae.corpus.prepare import prepare
from seqvae.corpus.scores import extract_file
from seqvae.tokenizers import make_tokenizer
logging.disable(logging.CRITICAL)
for line in sys.stdin:
    paths, tokenizer, beats = json.loads(line)
    paths, made = list(map(Path, paths)), make_tokenizer(tokenizer)
    begin = time.process_time()
    num = sum(len(extract_file(path, made, beats).extraction.sequences) for path in paths)
    print(1000 * (time.process_time() - begin) / len(paths), num, file=answers, flush=True)
"""


def child_of(tree: Path) -> subprocess.Popen[str]:
    """A process that reads with the code of a checkout; as a context it is ended and waited for."""
    return subprocess.Popen(
        [sys.executable, "-P", "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, env={**os.environ, "PYTHONPATH": str(tree.resolve())},
    )  # fmt: skip


def compared(before: Path, folder: Path, config: str, beats: str | None) -> dict[str, Any]:
    """CPU milliseconds a file of another checkout and of this one, by turns; the best of each."""
    tokenizer = yaml.safe_load((CONFIGS / config).read_text(encoding="utf-8"))["data"]["tokenizer"]
    paths = [str(path) for path in find_midi(folder)]
    if beats is not None:
        paths = [path for path in paths if file_beside(Path(path), beats).is_file()]
    question = json.dumps([paths[:: max(1, len(paths) // COMPARED)], tokenizer, beats])
    trees = {"before": before, "after": CONFIGS.parent}
    times: dict[str, list[float]] = {name: [] for name in trees}
    num_sequences: dict[str, int] = {}
    with contextlib.ExitStack() as stack:
        children = {name: stack.enter_context(child_of(tree)) for name, tree in trees.items()}
        for _ in range(2 * ROUNDS):
            for name, child in children.items():
                assert child.stdin is not None
                assert child.stdout is not None
                print(question, file=child.stdin, flush=True)
                milliseconds, num = child.stdout.readline().split()
                times[name].append(float(milliseconds))
                num_sequences[name] = int(num)
    best = {name: round(min(of_tree), 3) for name, of_tree in times.items()}
    ratio = round(best["after"] / best["before"], 2)
    return {"name": folder.name, **best, "unit": "ms CPU a file", "ratio": ratio} | {
        f"sequences_{name}": num for name, num in num_sequences.items()
    }


PREPARE = "from seqvae.cli import main; main()", "prepare"


def prepare_compared(before: Path, folder: Path, config: str) -> dict[str, Any]:
    """Seconds of `seqvae prepare` on a collection, by turns; the best of each checkout."""
    times: dict[str, list[float]] = {"before": [], "after": []}
    for _ in range(ROUNDS):
        for name, tree in (("before", before), ("after", CONFIGS.parent)):
            with tempfile.TemporaryDirectory() as place:
                flags = ["--data.source", str(folder), "--data.corpus", f"{place}/corpus"]
                preset = str(tree.resolve() / "configs" / config)
                begin = time.perf_counter()
                subprocess.run(
                    [sys.executable, "-P", "-c", *PREPARE, preset, *flags],
                    env={**os.environ, "PYTHONPATH": str(tree.resolve())},
                    capture_output=True, check=True,
                )  # fmt: skip
                times[name].append(time.perf_counter() - begin)
    best = {name: round(min(of_tree), 2) for name, of_tree in times.items()}
    ratio = round(best["after"] / best["before"], 2)
    return {"name": f"seqvae prepare, {folder.name}", **best, "unit": "s", "ratio": ratio}


def table(figures: dict[str, Any]) -> str:
    """The figures as Markdown."""
    workers, starts = figures["workers"], figures["starts"]
    lines = [
        [f"{name}: reading and windows, beside pretty_midi", f"{speed['files']:,}",
         f"{speed['times_pretty_midi']} times as fast"]
        for name, speed in (("melodies", figures["melodies"]), ("songs", figures["songs"]))
    ]  # fmt: skip
    lines += [
        [f"{name}: reading alone, beside pretty_midi", f"{speed['files_of_comparison']:,}",
         f"{speed['times_pretty_midi_reading']} times as fast"]
        for name, speed in (("melodies", figures["melodies"]), ("songs", figures["songs"]))
    ]  # fmt: skip
    lines += [
        ["two workers, beside one", f"{workers['files']:,}", f"{workers['times_one']} times"],
        ["first start", f"{starts['files']:,}", f"{starts['first']} s"],
        ["second start", f"{starts['files']:,}", f"{starts['second']} s"],
        ["memory that a file adds", f"{figures['memory']['files']:,}",
         f"{figures['memory']['kib_per_file']} KiB"],
    ]  # fmt: skip
    lines += [
        [f"{row['name']}, beside an earlier commit", "", f"{row['ratio']} of its {row['unit']}"]
        for row in figures.get("rows", [])
    ]
    return markdown(["what", "files", "figure"], lines)


def make_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--melodies", type=Path, required=True, help="folder of single-line MIDI")
    parser.add_argument("--songs", type=Path, required=True, help="folder of songs with beat files")
    parser.add_argument("--before", type=Path, help="another checkout, to compare with")
    parser.add_argument("--out", type=Path, help="file for the JSON")
    return parser


def main() -> None:
    """Measure, and print the figures."""
    places, begin = make_parser().parse_args(), time.monotonic()
    melodies = (places.melodies, "melody_2bar.yaml")
    songs = (places.songs, "piano_4bar.yaml", "beat_midi.txt")
    figures: dict[str, Any] = {
        "memory": memory(*melodies),
        "melodies": speed(*melodies),
        "songs": speed(*songs),
        "workers": scaling(*melodies),
        "starts": starts(*melodies),
    }
    if places.before is not None:
        figures["rows"] = [
            compared(places.before, *melodies, None),
            compared(places.before, places.songs, "melody_2bar.yaml", "beat_midi.txt"),
            prepare_compared(places.before, *melodies),
            prepare_compared(places.before, places.songs, "piano_4bar.yaml"),
        ]
    command = shlex.join(["python", *sys.argv])
    figures |= provenance(command, seed=0, seconds=time.monotonic() - begin)
    content = json.dumps(figures, indent=2)
    print(content)
    if places.out is not None:
        write_file(places.out, content + "\n")


if __name__ == "__main__":
    main()
