"""The command line: one function a verb, no logic.

Heavy modules are imported by the verbs that need them, so `seqvae --help` answers at once.
"""

import argparse
import json
import logging
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from seqvae.errors import InputError

if TYPE_CHECKING:
    from seqvae.training.config import Config


logger = logging.getLogger("seqvae.cli")

INTERRUPTED = 130  # the shell's code for a process that Ctrl-C ended


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, and that guesses no abbreviated flags."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        """Refuse the arguments."""
        raise InputError(f"{message} (see {self.prog} --help)")


def prepare(arguments: Sequence[str]) -> None:
    """Make a prepared corpus from a folder, a file, a glob or a list."""
    config = _parse_config("prepare", arguments)[0]
    from seqvae.corpus.prepare import prepare

    prepare(config)


def train(arguments: Sequence[str]) -> None:
    """Train a model; prepares the corpus where that is not done yet."""
    config, options = _parse_config("train", arguments)
    from seqvae.training.module import train

    run = train(config, Path(options["runs"]), resume=options["resume"])
    print(f"{run}: done; try seqvae evaluate {run}, seqvae sample {run}")


def evaluate(arguments: Sequence[str]) -> None:
    """Print all figures of a model on a split."""
    parser = _run_parser("evaluate", evaluate)
    parser.add_argument("--split", default="test", help="train, valid or test")
    parser.add_argument("--corpus", help="prepared corpus; by default the one of the run")
    parser.add_argument("--seed", type=int, default=0, help="draws every z")
    parser.add_argument(
        "--iw_samples", type=int, default=500,
        help="draws a sequence for the importance-weighted likelihood; default 500",
    )  # fmt: skip
    parser.add_argument(
        "--precision", choices=("fp32", "bf16"), default="fp32",
        help="bf16 is faster where the hardware has it; default fp32",
    )  # fmt: skip
    parser.add_argument("--json", metavar="FILE", help="write the figures there as JSON too")
    options = parser.parse_args(arguments)
    import seqvae

    if options.json and Path(options.json).is_dir():
        raise InputError(f"--json {options.json}: a folder; name a file")
    vae = seqvae.load(options.run)
    figures = vae.evaluate(
        open_corpus(options.run, options.corpus),
        split=options.split,
        iw_samples=options.iw_samples,
        precision=options.precision,
        seed=options.seed,
    )
    shown = {name: value for name, value in vars(figures).items() if value is not None}
    for name, value in shown.items():
        if isinstance(value, dict):
            for part, figure in value.items():
                # Of samples from the prior there is also what could be reached.
                reached, *ceiling = figure if isinstance(figure, tuple) else (figure,)
                print(
                    f"{name + ', ' + part:<40} {reached:>10.4f}", *(f"of {c:.4f}" for c in ceiling)
                )
        else:
            print(f"{name:<24} {value:>10}" if isinstance(value, int)
                  else f"{name:<24} {value:>10.4f}")  # fmt: skip
    if options.json:
        command = shlex.join(["seqvae", "evaluate", *arguments])
        about = {"split": options.split, **shown, "command": command}
        Path(options.json).parent.mkdir(parents=True, exist_ok=True)
        Path(options.json).write_text(json.dumps(about, indent=2) + "\n")


def sample(arguments: Sequence[str]) -> None:
    """Draw new sentences or clips."""
    parser = _run_parser("sample", sample)
    parser.add_argument("-n", type=int, default=8, help="how many")
    parser.add_argument("--qpm", type=float, help="tempo of clips, quarters/minute; default 120")
    _generate(parser, arguments, "sample", reads=False, temperature=1.0)


def reconstruct(arguments: Sequence[str]) -> None:
    """Send sentences or MIDI files through the latent code and back."""
    parser = _run_parser("reconstruct", reconstruct)
    parser.add_argument("inputs", nargs="+", help="sentences, or MIDI files")
    _generate(parser, arguments, "reconstruct")


def interpolate(arguments: Sequence[str]) -> None:
    """Go from one sentence or MIDI file to another in even steps."""
    parser = _run_parser("interpolate", interpolate)
    parser.add_argument("start", help="a sentence, or a MIDI file")
    parser.add_argument("end", help="a sentence, or a MIDI file")
    parser.add_argument("--num_steps", type=int, default=9, help="outputs, both ends included")
    parser.add_argument("--method", default="slerp", help="slerp or lerp")
    _generate(parser, arguments, "interpolate")


def blend(arguments: Sequence[str]) -> None:
    """Mix two to four sentences or MIDI files on a line, a triangle or a square."""
    parser = _run_parser("blend", blend)
    parser.add_argument("inputs", nargs="+", help="two to four sentences, or MIDI files")
    parser.add_argument("--num_steps", type=int, default=5, help="outputs along a side; default 5")
    _generate(parser, arguments, "blend")


def vary(arguments: Sequence[str]) -> None:
    """Make variations of a sentence or MIDI file."""
    parser = _run_parser("vary", vary)
    parser.add_argument("source", help="a sentence, or a MIDI file")
    parser.add_argument("-n", type=int, default=8, help="how many")
    parser.add_argument(
        "--distance", type=float, default=0.3,
        help="0 is the reconstruction, 1 is as far as a random sample; default 0.3",
    )  # fmt: skip
    _generate(parser, arguments, "vary")


def analogy(arguments: Sequence[str]) -> None:
    """Give a sentence or MIDI file what tells a third from a second: a - b + c."""
    parser = _run_parser("analogy", analogy)
    for name in "abc":
        parser.add_argument(name, help="a sentence, or a MIDI file")
    _generate(parser, arguments, "analogy")


def attributes(arguments: Sequence[str]) -> None:
    """Fit the directions that shift takes, and print what moving along each does to all."""
    parser = _run_parser("attributes", attributes)
    parser.add_argument("names", nargs="*", help="attributes; by default all that vary")
    parser.add_argument("--corpus", help="prepared corpus; by default the one of the run")
    parser.add_argument("--labels", metavar="FILE", help="label, tab, sentence or MIDI file a line")
    parser.add_argument("--method", default="network", help="network, probe or means")
    parser.add_argument("--amount", type=float, default=1.0, help="of the table's moves; default 1")
    parser.add_argument("--seed", type=int, default=0, help="of the fit and of the samples moved")
    options = vars(parser.parse_args(arguments))
    import seqvae

    run, corpus = options.pop("run"), options.pop("corpus")
    vae = seqvae.load(run)
    if corpus or not options["labels"]:
        corpus = open_corpus(run, corpus)
    print(vae.attributes(corpus, **options).table())


def shift(arguments: Sequence[str]) -> None:
    """Move sentences or MIDI files along an attribute."""
    parser = _run_parser("shift", shift)
    parser.add_argument("inputs", nargs="+", help="sentences, or MIDI files")
    parser.add_argument("--attribute", required=True, help="one that seqvae attributes has fitted")
    parser.add_argument(
        "--amount", type=float, default=1.0, help="how far; below 0 is less of it; default 1"
    )
    parser.add_argument("--apart", action="store_true", help="leave the other attributes alone")
    _generate(parser, arguments, "shift")


def score(arguments: Sequence[str]) -> None:
    """Print how unlikely the model finds sentences or MIDI files, the least likely first."""
    parser = _run_parser("score", score)
    parser.add_argument("inputs", nargs="+", help="sentences, or MIDI files")
    parser.add_argument(
        "--iw_samples", type=int, default=20, help="draws of the likelihood; default 20"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the draws")
    _add_clips(parser)
    options = vars(parser.parse_args(arguments))
    import seqvae

    vae = seqvae.load(options.pop("run"))
    _refuse_flags_of_music(vae, options)
    scores = vae.score(**options)
    event = "token" if vae.tokenizer.modality == "text" else "note"
    print(f"nats/{event:<7} nats/step")
    found = zip(scores, options["inputs"], strict=True)
    for own, name in sorted(found, key=lambda pair: -pair[0].per_event):
        print(f"{own.per_event:12.4f} {own.per_step:9.4f}  {name}")


def report(arguments: Sequence[str]) -> None:
    """Write a page about a run: figures, samples to play, a map of the latent space."""
    parser = _run_parser("report", report)
    parser.add_argument("--corpus", help="prepared corpus; by default the one of the run")
    parser.add_argument("--out", help="the HTML file; by default report.html in the run")
    options = parser.parse_args(arguments)
    from seqvae.pages.report import write_report

    out = Path(options.out or Path(options.run) / "report.html")
    write_report(Path(options.run), open_corpus(options.run, options.corpus), out)
    print(out)


MAKING = (prepare, train, evaluate)
PLAYING = (sample, reconstruct, interpolate, blend, vary, analogy, attributes, shift, score, report)
VERBS: dict[str, Callable[[Sequence[str]], None]] = {
    verb.__name__: verb for verb in (*MAKING, *PLAYING)
}


def main() -> None:
    """Run a verb; users' mistakes end as one line and exit code 2."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("seqvae").setLevel(logging.INFO)
    try:
        _dispatch(sys.argv[1:])
    except InputError as error:
        _refuse(str(error))
    except OSError as error:
        _refuse(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except KeyboardInterrupt as interruption:
        print(str(interruption) or "interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _refuse(message: str) -> NoReturn:
    print(f"seqvae: error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)


def _dispatch(arguments: Sequence[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: seqvae VERB ... (seqvae VERB --help tells more)\n")
        for name, verb in VERBS.items():
            print(f"  {name:<12} {verb.__doc__}")
        return
    if arguments[0] == "--version":
        import seqvae

        print(seqvae.__version__)
        return
    if arguments[0] not in VERBS:
        raise InputError(f"no verb {arguments[0]!r}; there are {', '.join(VERBS)}")
    VERBS[arguments[0]](arguments[1:])


def _parse_config(verb: str, arguments: Sequence[str]) -> tuple["Config", dict[str, Any]]:
    """The config from a YAML file and flags; flags win."""
    import jsonargparse
    import yaml

    from seqvae.training.config import Config

    jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = jsonargparse.ArgumentParser(
        prog=f"seqvae {verb}",
        usage=f"seqvae {verb} CONFIG.yaml [--data.source FOLDER] [--SECTION.FIELD VALUE ...]",
        description=VERBS[verb].__doc__,
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument("--config", action="config", help="a YAML file; it may stand first, alone")
    parser.add_class_arguments(Config)
    parser.add_argument("--dedupe", action="store_true", help="short for --data.dedupe true")
    if verb == "train":
        parser.add_argument("--resume", action="store_true", help="continue an interrupted run")
        parser.add_argument("--runs", default="runs", help="folder of all runs")
    given = list(arguments)
    if not given:
        raise InputError(f"give a config, such as seqvae {verb} configs/melody_2bar.yaml")
    if given and not given[0].startswith("-"):
        given.insert(0, "--config")
    for file in [Path(given[i + 1]) for i, a in enumerate(given[:-1]) if a == "--config"]:
        if not file.is_file():
            raise InputError(f"{file}: no such config file")
        try:
            yaml.safe_load(file.read_text())
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise InputError(f"{file}: not YAML ({error})") from error
    try:
        options = parser.parse_args(given)
        if options.dedupe:
            options.data.dedupe = True
        made = parser.instantiate(options)
    except jsonargparse.ArgumentError as error:
        raise InputError(f"{error!s} (see seqvae {verb} --help)") from error
    fields = {name: made[name] for name in Config.__dataclass_fields__}
    return Config(**fields), {k: v for k, v in vars(made).items() if k not in fields}


def _run_parser(verb: str, function: Callable[..., None]) -> Parser:
    parser = Parser(prog=f"seqvae {verb}", description=function.__doc__)
    parser.add_argument("run", help="a run or a bundle")
    return parser


def _add_clips(parser: Parser) -> None:
    parser.add_argument("--bar", type=int, help="take the window that begins at this bar, from 1")
    parser.add_argument("--beats", help="beat file beside each MIDI file, such as beat_midi.txt")
    parser.add_argument("--chord_file", help="chord file beside each, such as chord_midi.txt")


def _add_sampling(parser: Parser, *, temperature: float) -> None:
    default = "greedy" if temperature == 0 else f"{temperature:g}"
    parser.add_argument(
        "--temperature", type=float, default=temperature, help=f"0 is greedy; default {default}"
    )
    parser.add_argument("--top_k", type=int, default=0, help="only the k most probable tokens")
    parser.add_argument("--top_p", type=float, default=1.0, help="only the most probable mass p")
    parser.add_argument("--seed", type=int, help="repeats the output exactly")
    parser.add_argument("--chords", help='chords to play over, such as "C Am F G"')
    parser.add_argument("--out", help="folder for the results; clips go to out/ by default")
    parser.add_argument("--audio", action="store_true", help="write WAV files beside MIDI files")


def _generate(
    parser: Parser, arguments: Sequence[str], verb: str, *, reads: bool = True,
    temperature: float = 0.0,
) -> None:  # fmt: skip
    """Call a verb of the model and print or write what comes back."""
    if reads:
        _add_clips(parser)
    _add_sampling(parser, temperature=temperature)
    options = vars(parser.parse_args(arguments))
    import seqvae
    from seqvae.music.audio import check_audio, write_audio
    from seqvae.music.midi import write_clips

    vae = seqvae.load(options.pop("run"))
    out = options.pop("out")
    _refuse_flags_of_music(vae, options)
    if audio := options.pop("audio", False):
        check_audio()
    if options.get("qpm", 0) is None:
        del options["qpm"]
    folder = Path(out or "out") if out or vae.tokenizer.modality == "music" else None
    results = getattr(vae, verb)(**options)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    if vae.tokenizer.modality == "music":
        assert folder is not None
        files = write_clips(results, folder, verb)
        for path in files + (write_audio(results, files) if audio else []):
            print(path)
        return
    # A model may spell a line break in byte pieces; here a line is an output.
    text = "".join(" ".join(result.splitlines()) + "\n" for result in results)
    print(text, end="")
    if folder is not None:
        (folder / f"{verb}.txt").write_text(text)


def _refuse_flags_of_music(vae: Any, options: dict[str, Any]) -> None:
    if vae.tokenizer.modality == "text":
        for name in ("qpm", "bar", "beats", "chord_file", "chords", "audio"):
            if options.pop(name, None):
                raise InputError(f"--{name} is for music; this model takes text")


def open_corpus(run: str, given: str | None) -> Any:
    """The prepared corpus of a run."""
    import yaml

    from seqvae.corpus.store import ABOUT, Corpus

    if given is not None:
        return Corpus(Path(given))
    config_file = Path(run) / "config.yaml"
    if not config_file.is_file():
        raise InputError(f"{config_file} is missing; name a run, or the corpus with --corpus")
    config = yaml.safe_load(config_file.read_text())
    corpus = Corpus(Path(config["data"]["corpus"] or f"corpora/{config['name']}"))
    about = Path(run) / ABOUT
    if about.is_file() and json.loads(about.read_text())["fingerprint"] != corpus.fingerprint:
        logger.warning(
            "%s: prepared anew since %s was trained: held-out sequences of now may have been "
            "training sequences then", corpus.folder, run,
        )  # fmt: skip
    return corpus


if __name__ == "__main__":
    main()
