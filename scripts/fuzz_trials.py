"""The trials of each campaign, and the base that they start from: two tiny runs and some files."""

import json
import math
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import torch
import yaml
from fuzz_damage import damage_bytes, damage_json, nasty
from fuzz_pool import Campaign, Ended, Fell, command

from seqvae.corpus.config import DataConfig
from seqvae.corpus.digests import KEPT
from seqvae.corpus.scores import extract_file
from seqvae.corpus.store import Corpus
from seqvae.errors import InputError
from seqvae.inference import options
from seqvae.inference.bundle import load_bundle
from seqvae.model.config import ModelConfig
from seqvae.model.remedies import BetaSchedule, Objective
from seqvae.music.midi import to_pretty_midi
from seqvae.music.notes import Piece, make_notes
from seqvae.tokenizers import TOKENIZERS, make_tokenizer
from seqvae.tokenizers.contract import Example
from seqvae.training.config import TrainerConfig
from seqvae.training.flags import parse_config
from seqvae.training.train import train  # noqa: F401  # imported before processes are forked

TINY = {
    "model": {"latent_dim": 4, "embedding_dim": 8, "encoder_dim": 8, "decoder_dim": 8},
    "trainer": {"max_epochs": 2, "batch_size": 8, "precision": "fp32", "accelerator": "cpu"},
}
TEXT = {"tokenizer": {"kind": "words", "max_steps": 8}, "source": "lines.txt"}
MUSIC = {
    "tokenizer": {"kind": "melody", "num_bars": 1}, "source": "tunes", "num_workers": 0,
}  # fmt: skip
SENTENCE = "the cat sees the sun"
KINDS_OF_MIDI = ("melody", "trio", "voices", "polyphony")
SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
NUM_KILLS = 3  # of one training at most
MAX_BYTES = 6_000  # of a MIDI file: long ones take long


# The base


def make_base(folder: Path, midi: Path | None) -> Path:
    """Two runs, their sources, and MIDI files; made once, in a process of its own."""
    torch.set_num_threads(1)
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        folder, midi = folder.resolve(), midi and midi.resolve()
        if pid := os.fork():
            if os.waitpid(pid, 0)[1]:
                sys.exit(f"{folder}: the base could not be made")
        else:
            code = 1
            try:
                _fill_base(folder, midi)
                code = 0
            finally:
                os._exit(code)
    return folder.resolve()


def _fill_base(folder: Path, midi: Path | None) -> None:
    os.chdir(folder)
    write_sources(folder)
    for name in ("text", "music"):
        for words in (
            ("train", f"{name}.yaml"),
            ("attributes", f"runs/{name}", "--method", "means"),
        ):
            ended = command(*words)
            if ended.code:
                raise Fell(f"{words}: {ended.err}")
    files = sorted(midi.rglob("*.mid")) if midi else sorted((folder / "tunes").iterdir())
    files = [file for file in files if file.stat().st_size <= MAX_BYTES]
    chosen = random.Random(0).sample(files, min(len(files), 500))
    if not files:
        raise Fell(f"{midi}: no MIDI files of at most {MAX_BYTES} bytes")
    (folder / "midi.json").write_text(
        json.dumps([str(file.resolve()) for file in chosen]), encoding="utf-8"
    )
    (folder / "done").touch()


def write_sources(folder: Path) -> None:
    """Lines, tunes, and a config for each."""
    nouns, verbs = ("cat", "dog", "cow"), ("sees", "likes", "meets")
    things = ("sun", "sea", "hill", "moon", "tree")
    lines = [f"the {a} {b} the {c}\n" for a in nouns for b in verbs for c in things]
    (folder / "lines.txt").write_text("".join(lines), encoding="utf-8")
    (folder / "tunes").mkdir()
    for number in range(12):
        write_tune(folder / f"tunes/{number:02d}.mid", number)
    for name, data in (("text", TEXT), ("music", MUSIC)):
        (folder / f"{name}.yaml").write_text(
            yaml.safe_dump({"name": name, "data": data, **TINY}), encoding="utf-8"
        )


def write_tune(file: Path, seed: int) -> None:
    """Four bars of melody over a bass and drums."""
    rng, beats = np.random.default_rng(seed), np.arange(0, 64, 4)
    parts = [
        make_notes(beats, beats + 4, rng.integers(60, 80, 16), track=0),
        make_notes(beats, beats + 4, rng.integers(30, 45, 16), program=33, track=1),
        make_notes(beats, beats + 1, np.where(beats % 8, 38, 36), is_drum=True, track=2),
    ]
    to_pretty_midi(Piece(np.sort(np.concatenate(parts)), 4)).write(str(file))


# Damaged MIDI files


def midi(rng: random.Random, base: Path, folder: Path) -> str:
    """A damaged file through three tokenizers; what is taken must be tokens that can be played."""
    files = json.loads((base / "midi.json").read_text(encoding="utf-8"))
    content = damage_bytes(rng, Path(rng.choice(files)).read_bytes(), Path(rng.choice(files)))
    file = folder / "file.mid"
    file.write_bytes(content)
    line = ""
    for kind in KINDS_OF_MIDI:
        tokenizer: Any = make_tokenizer({"kind": kind})
        result = extract_file(file, tokenizer)
        taken, dropped = result.extraction.sequences, result.extraction.dropped
        sizes = tokenizer.vocab_sizes + tokenizer.condition_sizes
        for ids in taken:
            if len(ids) > tokenizer.max_steps or (ids.max(0) >= sizes).any():
                raise Fell(f"{kind}: tokens beyond the vocabulary")
        for ids in taken[:1]:
            to_pretty_midi(tokenizer.decode(Example(ids.astype(np.int64))))
        if not taken and result.refusal is None and not dropped:
            raise Fell(f"{kind}: nothing is taken, and nobody says why")
        if result.refusal is not None:
            if "\n" in result.refusal or len(result.refusal) > 300:
                raise Fell(f"{kind}: {result.refusal}")
            line = result.refusal
    return line


# Damaged bundles, corpora and runs


def damage(rng: random.Random, base: Path, folder: Path) -> str:
    """One file of a run, its bundle or its corpus is damaged; then the run is used."""
    name = rng.choice(("text", "music"))
    for part in ("runs", "corpora"):
        shutil.copytree(base / part / name, folder / part / name)
    for source in ("lines.txt", "tunes", f"{name}.yaml"):
        (folder / source).symlink_to(base / source)
    places = (*(folder / "runs").rglob("*"), *(folder / "corpora").rglob("*"))
    file = rng.choice(sorted(path for path in places if path.is_file()))
    _damage_file(rng, file)
    given = SENTENCE if name == "text" else "tunes/00.mid"
    run = f"runs/{name}"
    about = (base / run / "attributes.json").read_text(encoding="utf-8")
    attribute = json.loads(about)["names"][0]
    uses: dict[str, tuple[object, ...]] = {
        "sample": ("sample", run, "-n", 2), "reconstruct": ("reconstruct", run, given),
        "shift": ("shift", run, given, "--attribute", attribute),
        "score": ("score", run, given), "evaluate": ("evaluate", run, "--iw_samples", 1),
        "report": ("report", run), "prepare": ("prepare", f"{name}.yaml"),
        "resume": ("train", f"{name}.yaml", "--resume"),
        "attributes": ("attributes", run, "--method", "means"),
    }  # fmt: skip
    if file.parent.parent.name == "corpora":
        verbs = ["evaluate", rng.choice(["prepare", "report", "attributes", "resume"])]
    elif file.parent.name == "bundle":
        verbs = ["sample", rng.choice(["reconstruct", "score", "evaluate", "report"])]
    else:
        verbs = ["resume", "shift", rng.choice(["evaluate", "report"])]
    lines = [command(*uses[verb]).judged() for verb in verbs]
    return "; ".join(filter(None, lines))


def _damage_file(rng: random.Random, file: Path) -> None:
    """Bytes, or values of JSON and YAML."""
    content = file.read_bytes()
    if file.suffix in (".json", ".yaml", ".jsonl") and rng.random() < 0.7:
        lines = content.decode().splitlines() if file.suffix == ".jsonl" else [content.decode()]
        which = rng.randrange(len(lines))
        lines[which] = json.dumps(damage_json(rng, yaml.safe_load(lines[which])))
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return
    file.write_bytes(damage_bytes(rng, content, file))
    if rng.random() < 0.05:
        file.unlink()
        if rng.random() < 0.5:
            file.mkdir()


# Settings


CONFIGS = {
    "data": DataConfig, "model": ModelConfig, "objective": Objective, "trainer": TrainerConfig,
    "objective.beta": BetaSchedule,
}  # fmt: skip
VERBS = (
    options.Sample, options.Reconstruct, options.Interpolate, options.Blend, options.Vary,
    options.Analogy, options.Shift, options.Attributes, options.Score, options.Evaluate,
    options.Decode, options.Encode,
)  # fmt: skip
GIVEN: dict[str, Any] = {
    "inputs": [SENTENCE, SENTENCE], "start": SENTENCE, "end": SENTENCE, "source": SENTENCE,
    "a": SENTENCE, "b": SENTENCE, "c": SENTENCE, "attribute": "length", "z": [[0.0] * 4],
}  # fmt: skip


def settings(rng: random.Random, base: Path, folder: Path) -> str:
    """One or two settings of any value: in Python, on the command line, or of a verb."""
    way = rng.choice((_python_setting, _flag, _option))
    try:
        return way(rng, base)
    except InputError as error:
        return _one_line(error)
    except TypeError as error:
        if "give" not in str(error):  # what inputs may be
            raise
        return _one_line(error)


def _python_setting(rng: random.Random, base: Path) -> str:
    kind: Any = rng.choice([*CONFIGS.values(), *TOKENIZERS.values()])
    names = [field.name for field in fields(kind) if field.name not in getattr(kind, "learned", ())]
    kind(**{name: nasty(rng) for name in rng.sample(names, rng.choice((1, 1, 2)))})
    return ""


def _flag(rng: random.Random, base: Path) -> str:
    section, kind = rng.choice([*CONFIGS.items()])
    name = rng.choice([field.name for field in fields(kind)])
    drawn = rng.choice([nasty(rng, plain=True), 1, -1, 0.5, True])
    value = rng.choice((str, repr, json.dumps))(drawn)
    parse_config("train", [str(base / "text.yaml"), f"--{section}.{name}={value}"])
    return ""


def _option(rng: random.Random, base: Path) -> str:
    kind = rng.choice(VERBS)
    hints = get_type_hints(kind)
    values = {name: value for name, value in GIVEN.items() if name in hints}
    kind(**options.taken(kind, values | {rng.choice([*hints]): nasty(rng)}))
    return ""


def _one_line(error: Exception) -> str:
    line = str(error)
    if "\n" in line or len(line) > 300:
        raise Fell(f"not one short line: {line[:500]}")
    return line


# Kills


def kills(rng: random.Random, base: Path, folder: Path) -> str:
    """A training or preparation is killed, perhaps again, and resumed; the end must be the same."""
    name, verb = rng.choice(("text", "music")), rng.choice(("train", "train", "prepare"))
    for source in ("lines.txt", "tunes", f"{name}.yaml"):
        (folder / source).symlink_to(base / source)
    line = ""
    for _ in range(rng.randint(1, NUM_KILLS)):
        resume = ["--resume"] if Path(f"runs/{name}/last.ckpt").exists() else []
        line = _killed(rng, (verb, f"{name}.yaml", *(resume if verb == "train" else [])))
    resume = ["--resume"] if Path(f"runs/{name}/last.ckpt").exists() else []
    ended = _forked((verb, f"{name}.yaml", *(resume if verb == "train" else [])))
    if ended.code:
        raise Fell(f"the last run: {ended.err[-300:]}")
    assert_whole(folder, base, name, trained=verb == "train")
    return line


def _killed(rng: random.Random, words: tuple[str, ...]) -> str:
    """Kill a command at a random moment, or when it writes for the n-th time."""
    number = rng.choice([signal.SIGKILL, signal.SIGKILL, *SIGNALS])
    if rng.random() < 0.5:
        ended = _forked(words, at_write=rng.randint(1, 60), number=number)
    else:
        ended = _forked(words, after=rng.uniform(0, 0.8), number=number)
    if number == signal.SIGKILL or ended.code == 0:
        return ""
    last = ended.err.strip().splitlines()[-1:]
    if ended.code != SIGNALS[number] or "interrupted" not in "".join(last):
        raise Fell(f"{number.name}: code {ended.code}: {ended.err.strip()[-300:]}")
    return last[0]


def _forked(
    words: tuple[str, ...],
    *,
    at_write: int = 0,
    after: float | None = None,
    number: signal.Signals = signal.SIGKILL,
) -> Ended:
    """A command in a forked process, which may be sent a signal."""
    file = Path("ended.json")
    file.unlink(missing_ok=True)
    pid = os.fork()
    if not pid:
        try:
            if at_write:
                _signal_at_write(at_write, number)
            ended = command(*words)
            sys.addaudithook(lambda *_: None)
            file.write_text(json.dumps([ended.code, ended.out, ended.err]), encoding="utf-8")
        finally:
            os._exit(0)
    if after is not None:
        time.sleep(after)  # a moment at random is what is tried
        os.kill(pid, number)
    os.waitpid(pid, 0)
    if not file.exists():  # it was killed before it could tell
        return Ended(SIGNALS.get(number, -9), "", "interrupted")
    return Ended(*json.loads(file.read_text(encoding="utf-8")))


def _signal_at_write(count: int, number: signal.Signals) -> None:
    """Send this process a signal before the n-th call that changes something on disk."""
    seen = 0
    changes = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod"}

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if writes or event in changes:
            seen += 1
            if seen == count:
                os.kill(os.getpid(), number)

    sys.addaudithook(hook)


def assert_whole(folder: Path, base: Path, name: str, *, trained: bool) -> None:
    """The corpus and the run are those of the base, and nothing else is left.

    Raises:
        Fell: something differs.
    """
    left = [path for path in folder.rglob("*") if path.name.startswith(".")]
    if left:
        raise Fell(f"left behind: {[str(path.relative_to(folder)) for path in left]}")
    for file in sorted((base / "corpora" / name).iterdir()):
        if file.name != KEPT:  # it holds the times of the files that were read
            _compare(file, folder / "corpora" / name / file.name)
    if not trained:
        return
    for file in sorted((base / "runs" / name / "bundle").iterdir()):
        _compare(file, folder / "runs" / name / "bundle" / file.name)
    states = [
        torch.load(run / "runs" / name / "last.ckpt", weights_only=True) for run in (base, folder)
    ]
    for state in states:
        for key in ("seconds", "history"):
            state.pop(key)
    if not _equal(*states):
        raise Fell("last.ckpt differs")


def _compare(one: Path, other: Path) -> None:
    if not other.is_file() or one.read_bytes() != other.read_bytes():
        raise Fell(f"{other.name} differs from that of an uninterrupted run")


def _equal(one: Any, other: Any) -> bool:
    """Whether two values of a checkpoint are the same to the bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)


# Two at once


def pairs(rng: random.Random, base: Path, folder: Path) -> str:
    """Two commands on one run or corpus at once: the end is the work of one of them, whole."""
    write_sources(folder)
    verbs = rng.choice((("train", "train"), ("train", "prepare"), ("prepare", "prepare")))
    changes = [
        (),
        ("--model.latent_dim", "3") if verbs[1] == "train" else ("--data.split_seed", "1"),
    ]
    words = [
        (verb, "text.yaml", *rng.choice(changes), *(("--runs", "runs") if verb == "train" else ()))
        for verb in verbs
    ]
    pids = []
    for number, each in enumerate(words):
        if not (pid := os.fork()):
            try:
                ended = command(*each)
                Path(f"ended{number}.json").write_text(
                    json.dumps([ended.code, ended.out, ended.err]), encoding="utf-8"
                )
            finally:
                os._exit(0)
        pids.append(pid)
        time.sleep(rng.choice((0.0, rng.uniform(0, 0.5))))  # at once, or in the middle of the other
    for pid in pids:
        os.waitpid(pid, 0)
    ends = [
        Ended(*json.loads(Path(f"ended{number}.json").read_text(encoding="utf-8")))
        for number in (0, 1)
    ]
    lines = [ended.judged() for ended in ends]
    if all(lines):
        raise Fell(f"both are refused: {lines}")
    left = [path for path in folder.rglob("*") if path.name.startswith(".")]
    if left:
        raise Fell(f"left behind: {left}")
    Corpus(Path("corpora/text")).manifest()
    if "train" in verbs:
        saved = yaml.safe_load(Path("runs/text/config.yaml").read_text(encoding="utf-8"))
        model, _ = load_bundle(Path("runs/text/bundle"))
        if model.config.latent_dim != saved["model"]["latent_dim"]:
            raise Fell("the run is a mixture")
        if not math.isfinite(float(command("evaluate", "runs/text", "--iw_samples", 1).code)):
            raise Fell("it cannot be evaluated")
    return "; ".join(filter(None, lines))


Trial = Callable[[random.Random, Path, Path], str]

CAMPAIGNS = {
    "midi": Campaign(
        about="MIDI files with damaged bytes, through three tokenizers",
        count=20_000, small=150, seconds=60, trial=midi,
    ),
    "kills": Campaign(
        about="`train` and `prepare` killed at random moments and at system calls that write, then "
        "resumed and compared byte for byte",
        count=300, small=4, seconds=200, trial=kills,
    ),
    "damage": Campaign(
        about="bundles, corpora and runs with damaged bytes or values, then used",
        count=1_000, small=30, seconds=200, trial=damage,
    ),
    "settings": Campaign(
        about="settings of any value and type, in Python and as flags",
        count=5_000, small=200, seconds=60, trial=settings,
    ),
    "pairs": Campaign(
        about="two commands at once on one run or corpus",
        count=50, small=2, seconds=200, trial=pairs,
    ),
}  # fmt: skip
