"""The command line: one function per verb, without logic.

The flags of a verb are the fields of its dataclass (`verb_flags`), those of prepare and train the
fields of `Config`. Heavy modules are imported by the verbs that need them, so that help is printed
at once.
"""

import codecs
import difflib
import io
import logging
import math
import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn

import seqvae
from seqvae.disk import require_folder, write_file, write_json, writing_to
from seqvae.errors import InputError, shortened, shown
from seqvae.files import expanded, refuse_input
from seqvae.inference import options
from seqvae.reasons import amount
from seqvae.stops import exit_code, on_signal, stop
from seqvae.training.flags import parse_config
from seqvae.verb_flags import A_MODEL, Parser, add_flags, parse

logger = logging.getLogger("seqvae.cli")

NAME_OUT = "name another place with --out"
NAME_JSON = "name another file with --json"
NAME_CORPUS = "name another folder with --data.corpus"
BROKEN_PIPE = 141  # the shell's code for a process whose reader has gone, as `head` does


def prepare(arguments: Sequence[str]) -> None:
    """Make a prepared corpus from a folder, a file, a glob or a list."""
    config = parse_config("prepare", arguments, VERBS["prepare"].__doc__)[0]
    from seqvae.corpus.prepare import prepare

    with writing_to(config.corpus_folder, NAME_CORPUS):
        prepare(config.data, config.corpus_folder)


def train(arguments: Sequence[str]) -> None:
    """Train a model, after preparing its corpus if that is not done yet."""
    config, chosen = parse_config("train", arguments, VERBS["train"].__doc__)
    from seqvae.model.ranks import is_main
    from seqvae.training.train import train

    runs = expanded(chosen["runs"])
    name_runs = "name another folder with --runs"
    with writing_to(config.corpus_folder, NAME_CORPUS), writing_to(runs, name_runs):
        run = train(config, runs, resume=chosen["resume"])
    if is_main():
        print(f"{run}: done; try seqvae evaluate {run}, seqvae sample {run}")


def personal(arguments: Sequence[str]) -> None:
    """Make a model of your own: adapt one to a dozen clips or sentences."""
    parser = Parser(prog="seqvae personal", description=personal.__doc__)
    parser.add_argument("base", help=A_MODEL)
    parser.add_argument(
        "inputs", nargs="+", help="files, folders, globs or prepared corpora; one long file will do"
    )
    parser.add_argument(
        "--name", required=True, help="the new folder, which every command takes as a model"
    )
    parser.add_argument("--column", help="column of the text in tables: its name, or its number")
    parser.add_argument("--seed", type=int, default=0, help="seed of all draws (default 0)")
    add_flags(parser, options.Reading)
    chosen = vars(parser.parse_args(arguments))
    base, inputs, name = chosen.pop("base"), chosen.pop("inputs"), chosen.pop("name")
    column, seed = chosen.pop("column"), chosen.pop("seed")
    from seqvae.training.personal import make_personal

    vae = seqvae.load(base, "cpu")
    _refuse_flags_of_music(vae, options.Reading, chosen)
    _refuse_column_of_text(vae, column)
    reading = options.Reading(**chosen)
    with writing_to(expanded(name), "give another --name"):
        made = make_personal(
            base, inputs, vae.codec, name, reading=reading, column=column, seed=seed
        )
    print(made.comparison.table(base, name))
    print(made.told(base, name))


def evaluate(arguments: Sequence[str]) -> None:
    """Print all figures of a model on a split."""
    parser = _verb_parser(options.Evaluate)
    parser.add_argument("--json", metavar="FILE", help="write the figures there as JSON, too")
    run, chosen = parse(parser, options.Evaluate, arguments)
    file = _file_for(chosen.pop("json"), "--json")
    vae = seqvae.load(run)
    if file:
        read = [folder for folder in (vae.bundle, chosen["corpus"]) if folder is not None]
        refuse_input(file, "--json", chain.from_iterable(map(_files_of, read)))
    started = time.monotonic()
    figures = vae.evaluate(**chosen)
    print(figures.table())
    if file:
        from seqvae.inference.provenance import provenance

        made = provenance(
            shlex.join(["seqvae", "evaluate", *arguments]),
            seed=chosen["seed"],
            seconds=time.monotonic() - started,
        )
        about = {"split": chosen["split"], **figures.known(), **made}
        with writing_to(file, NAME_JSON):
            write_json(file, about)


def encode(arguments: Sequence[str]) -> None:
    """Write the codes of texts or music as a table: one row per line or window."""
    parser = Parser(prog="seqvae encode", description=encode.__doc__)
    parser.add_argument("run", help=A_MODEL)
    parser.add_argument(
        "inputs", nargs="+",
        help="files, folders, globs, prepared corpora or one split of them (CORPUS:test), or - for "
        "lines on standard input",
    )  # fmt: skip
    parser.add_argument(
        "--out", required=True, metavar="FILE",
        help="the table: .npz (arrays means, log_stddevs, ids, source, sources), .csv or .parquet",
    )  # fmt: skip
    parser.add_argument("--column", help="column of the text in tables: its name, or its number")
    parser.add_argument("--encoding", help="of texts that are not UTF-8, such as cp1252")
    parser.add_argument(
        "--precision", choices=("fp32", "bf16"), default="fp32",
        help="fp32, or bf16, which is faster if the hardware supports it (default fp32)",
    )  # fmt: skip
    add_flags(parser, options.Coding)
    chosen = vars(parser.parse_args(arguments))
    run, out, inputs = chosen.pop("run"), expanded(chosen.pop("out")), chosen.pop("inputs")
    column, precision = chosen.pop("column"), chosen.pop("precision")
    encoding = chosen.pop("encoding")
    from seqvae.inference.code_table import check_ending

    check_ending(out)
    with writing_to(out, NAME_OUT):
        require_folder(out.parent)
    vae = seqvae.load(run)
    _refuse_flags_of_music(vae, options.Reading, chosen)
    _refuse_column_of_text(vae, column)
    if encoding is not None and vae.tokenizer.modality == "music":
        raise InputError("--encoding is for texts; this model takes music")
    from seqvae.inference.encoding import encode_places

    coding = options.Coding(**chosen)
    half = precision == "bf16"
    with writing_to(out, NAME_OUT):
        number = encode_places(
            vae.codec, inputs, out, coding, column=column, encoding=encoding, half=half
        )
    codes = amount(number, "code")
    print(f"{out}: {codes} of {amount(vae.model.config.latent_dim, 'dimension')}")


def decode(arguments: Sequence[str]) -> None:
    """Turn a table of codes, which encode wrote, or an array into sentences or clips."""
    _generate(options.Decode, arguments)


def sample(arguments: Sequence[str]) -> None:
    """Draw new sentences or clips."""
    _generate(options.Sample, arguments)


def reconstruct(arguments: Sequence[str]) -> None:
    """Send sentences or MIDI files through the latent code and back."""
    _generate(options.Reconstruct, arguments)


def humanise(arguments: Sequence[str]) -> None:
    """Give drums the loudness and the timing of a groove model; every note stays."""
    _generate(options.Humanise, arguments)


def interpolate(arguments: Sequence[str]) -> None:
    """Go from one sentence or MIDI file to another in equal steps."""
    _generate(options.Interpolate, arguments)


def blend(arguments: Sequence[str]) -> None:
    """Mix two to four sentences or MIDI files on a line, a triangle or a square."""
    _generate(options.Blend, arguments)


def vary(arguments: Sequence[str]) -> None:
    """Make variations of a sentence or MIDI file."""
    _generate(options.Vary, arguments)


def complete(arguments: Sequence[str]) -> None:
    """Keep a part of a sentence or MIDI file, and write the rest so that it fits."""
    _generate(options.Complete, arguments)


def analogy(arguments: Sequence[str]) -> None:
    """Apply the difference between two sentences or MIDI files to a third: a - b + c."""
    _generate(options.Analogy, arguments)


def attributes(arguments: Sequence[str]) -> None:
    """Fit the directions that shift moves along, and print what each does to all attributes."""
    run, chosen = parse(_verb_parser(options.Attributes), options.Attributes, arguments)
    print(seqvae.load(run).attributes(**chosen).table())


def shift(arguments: Sequence[str]) -> None:
    """Move sentences or MIDI files along an attribute."""
    _generate(options.Shift, arguments)


def score(arguments: Sequence[str]) -> None:
    """Print how unlikely the model finds sentences or MIDI files, the least likely first."""
    parser = _verb_parser(options.Score)
    parser.add_argument("--json", metavar="FILE", help="write the scores there as JSON, too")
    run, chosen = parse(parser, options.Score, arguments)
    file = _file_for(chosen.pop("json"), "--json")
    from seqvae.inference.trained import least_likely_first

    vae = seqvae.load(run)
    _refuse_flags_of_music(vae, options.Score, chosen)
    chosen["inputs"] = vae.codec.sources(_with_piped(vae, chosen["inputs"]))
    if file and vae.tokenizer.modality == "music":
        refuse_input(file, "--json", chosen["inputs"])
    ranked = least_likely_first(vae.score(**chosen), chosen["inputs"])
    is_text = vae.tokenizer.modality == "text"  # whose steps are its tokens
    print("nats/token" if is_text else "nats/note    nats/step")
    for nats, name in ranked:
        if math.isinf(nats.per_event):
            print(f"{'-':>12}" + f" {'-':>9}" * (not is_text) + f"  {name}")
            continue
        print(f"{nats.per_event:12.4f}" + f" {nats.per_step:9.4f}" * (not is_text) + f"  {name}")
        if nats.parts:
            from seqvae.inference.surprise import shown as shown_parts

            coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
            print(shown_parts(nats.parts, coloured=coloured))
    if file:
        rows = [{"input": str(name), **asdict(nats)} for nats, name in ranked]
        with writing_to(file, NAME_JSON):
            write_json(file, rows)


def report(arguments: Sequence[str]) -> None:
    """Write a page about a run: figures, samples to play, a map of the latent space."""
    parser = Parser(prog="seqvae report", description=report.__doc__)
    parser.add_argument("run", help="a run")
    parser.add_argument("--corpus", help="prepared corpus; by default the one of the run")
    parser.add_argument("--out", help="the HTML file; by default report.html in the run")
    chosen = parser.parse_args(arguments)
    from seqvae.inference.bundle import open_corpus
    from seqvae.pages.report import check_is_run, write_report

    run = expanded(chosen.run)
    check_is_run(run)
    corpus = open_corpus(run, expanded(chosen.corpus) if chosen.corpus else None)
    out = expanded(chosen.out or run / "report.html")
    with writing_to(out, NAME_OUT):
        write_report(run, corpus, out)
    print(out)


def play(arguments: Sequence[str]) -> None:
    """Write a page on which a model is played, and open it in the browser."""
    parser = Parser(prog="seqvae play", description=play.__doc__)
    parser.add_argument("run", help=A_MODEL)
    parser.add_argument(
        "--out", help="the HTML file; by default play.html in the run, or here for a bundle"
    )
    parser.add_argument(
        "--no_open", action="store_true", help="only write the page; do not open it"
    )
    chosen = parser.parse_args(arguments)
    import webbrowser

    from seqvae.inference.bundle import BUNDLE, bundle_in
    from seqvae.pages.page import INSTRUMENT
    from seqvae.pages.play import write_play

    run = expanded(chosen.run)
    is_run = bundle_in(run) == run / BUNDLE
    out = expanded(chosen.out or (run / INSTRUMENT if is_run else INSTRUMENT))
    with writing_to(out, NAME_OUT):
        write_play(run, out)
    print(out)
    if not chosen.no_open:
        webbrowser.open(out.resolve().as_uri())


def push(arguments: Sequence[str]) -> None:
    """Publish a model on the Hugging Face Hub."""
    run, chosen = parse(_verb_parser(options.Push), options.Push, arguments)
    from seqvae.exchange.publishing import push

    print(push(run, options.Push(**chosen)))


def app(arguments: Sequence[str]) -> None:
    """Open a page with a form for each verb, which DAWs use through HARP."""
    parser = Parser(prog="seqvae app", description=app.__doc__)
    parser.add_argument("run", help=A_MODEL)
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen at; 0.0.0.0 lets others in "
        "(default 127.0.0.1, this machine alone)",
    )  # fmt: skip
    parser.add_argument("--port", type=int, help="by default the first that is free from 7860 on")
    parser.add_argument("--no_open", action="store_true", help="open no browser")
    parser.add_argument(
        "--space", metavar="DIR", help="write a Space for Hugging Face there, and open nothing"
    )
    chosen = parser.parse_args(arguments)
    if chosen.space:
        from seqvae.serving.space import write_space

        folder = expanded(chosen.space)
        with writing_to(folder, "name another folder with --space"):
            write_space(expanded(chosen.run), folder)
        print(chosen.space)
        return
    from seqvae.serving.app import serve

    serve(expanded(chosen.run), chosen.host, chosen.port, browser=not chosen.no_open)


def serve(arguments: Sequence[str]) -> None:
    """Play a model of music by OSC: codes come in, notes go out, to a MIDI port as well."""
    parser = Parser(prog="seqvae serve", description=serve.__doc__)
    parser.add_argument("run", help=A_MODEL)
    parser.add_argument(
        "--osc", action="store_true", required=True, help="take and send OSC messages; it must be "
        "given, as there is no other way so far",
    )  # fmt: skip
    parser.add_argument("--midi", action="store_true", help="open a MIDI port, with a clock")
    parser.add_argument("--qpm", type=float, default=120.0, help="first tempo (default 120)")
    for name, default, about in (
        ("--host", "127.0.0.1", "address to listen at; 0.0.0.0 lets others in"),
        ("--receive", 6448, "port at which messages come in"),
        ("--to", "127.0.0.1", "address that messages go to"),
        ("--send", 12000, "port that messages go to"),
    ):
        kind = type(default)
        parser.add_argument(name, type=kind, default=default, help=f"{about} (default {default})")
    chosen = vars(parser.parse_args(arguments))
    del chosen["osc"]
    from seqvae.serving.osc import serve as serve_osc

    serve_osc(expanded(chosen.pop("run")), **chosen)


def look(arguments: Sequence[str]) -> None:
    """Show what files hold, how each track of MIDI files is heard, and what a model can shift."""
    chosen = vars(_verb_parser(options.Look).parse_args(arguments))
    from seqvae.corpus.look import files_in, look_at
    from seqvae.shipped import is_model

    files: list[Path] = []
    for place in map(expanded, chosen.pop("files")):
        files += [place] if is_model(place) else files_in([place])
    for number, file in enumerate(files):
        try:
            if is_model(file):
                from seqvae.inference.model_look import about_model

                told = about_model(file)
            else:
                told = look_at(file, **chosen).table()
        except InputError as error:
            if len(files) == 1:
                raise
            told = str(error)
        print("\n" * (number > 0) + told)


def import_(arguments: Sequence[str]) -> None:
    """Make a bundle of a model of another program: a MusicVAE of Magenta's."""
    parser = Parser(prog="seqvae import", description=import_.__doc__)
    parser.add_argument("program", choices=("magenta",), help="where the model comes from")
    parser.add_argument("folder", help="the folder of its checkpoint, in the format of magenta.js")
    parser.add_argument("--out", required=True, metavar="BUNDLE", help="the folder of the bundle")
    chosen = parser.parse_args(arguments)
    out = expanded(chosen.out)
    from seqvae.exchange.magenta.importing import import_magenta

    with writing_to(out, NAME_OUT):
        require_folder(out.parent)
        import_magenta(expanded(chosen.folder), out)
    print(f"{out}: done; try seqvae sample {out}")


def export(arguments: Sequence[str]) -> None:
    """Write a model for another program: graphs for ONNX, or a checkpoint for magenta.js."""
    parser = Parser(prog="seqvae export", description=export.__doc__)
    parser.add_argument("program", choices=("onnx", "magenta"), help="what the model is for")
    parser.add_argument("run", help=A_MODEL)
    parser.add_argument("folder", help="the folder that is written")
    chosen = parser.parse_args(arguments)
    folder = expanded(chosen.folder)
    if chosen.program == "onnx":
        from seqvae.exchange.onnx.exporting import export_onnx as write_model
    else:
        from seqvae.exchange.magenta.exporting import export_magenta as write_model

    with writing_to(folder, "name another folder"):
        require_folder(folder.parent)
        write_model(expanded(chosen.run), folder)
    print(folder)


def models(arguments: Sequence[str]) -> None:
    """List the trained models that ship, which every command takes by name."""
    Parser(prog="seqvae models", description=models.__doc__).parse_args(arguments)
    from seqvae.inference.catalogue import list_models

    print(list_models())


def presets(arguments: Sequence[str]) -> None:
    """List the presets of settings, which prepare and train take by name."""
    Parser(prog="seqvae presets", description=presets.__doc__).parse_args(arguments)
    from seqvae.inference.catalogue import list_presets

    print(list_presets())


LISTS = (models, presets)
MAKING = (look, prepare, train, personal, evaluate)
PLAYING = (
    sample, complete, reconstruct, humanise, interpolate, blend, vary, analogy, attributes, shift,
    score, encode, decode, report, play, push, app, serve,
)  # fmt: skip
EXCHANGING = (import_, export)
VERBS: dict[str, Callable[[Sequence[str]], None]] = {
    verb.__name__.rstrip("_"): verb for verb in (*LISTS, *MAKING, *PLAYING, *EXCHANGING)
}


def main() -> None:
    """Run a verb; users' mistakes end as one line and exit code 2."""
    # Threads that wait sleep instead of spinning, which takes other programs' time and our own on
    # a busy machine. OpenMP reads this when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="spelt_out")
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("seqvae").setLevel(logging.INFO)
    try:
        with on_signal(stop):
            try:
                _dispatch(sys.argv[1:])
            finally:
                sys.stdout.flush()  # here, where a broken pipe is heard
    except InputError as error:
        _refuse(str(error))
    except BrokenPipeError:
        _mute()
        sys.exit(BROKEN_PIPE)
    except UnicodeEncodeError as error:  # of a file name that a config or another file holds
        if error.encoding == "utf-8":
            raise
        _refuse(
            f"{shown(error.object)}: the locale has no such characters for names of files; set "
            "PYTHONUTF8=1"
        )
    except OSError as error:
        _refuse(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except MemoryError:
        _refuse("there is not enough memory; ask for less at once, or take a smaller model")
    except KeyboardInterrupt as interruption:
        print(str(interruption) or "interrupted", file=sys.stderr)
        sys.exit(exit_code(interruption))


def _mute() -> None:
    """Let what is still to be printed go nowhere, or Python complains at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _spelt_out(error: UnicodeError) -> tuple[str | bytes, int]:
    """What the locale cannot show: bytes of a file name as they are, other characters escaped."""
    assert isinstance(error, UnicodeEncodeError)
    character, end = error.object[error.start], error.start + 1
    if "\udc80" <= character <= "\udcff":
        return character.encode("ascii", "surrogateescape"), end
    return character.encode("ascii", "backslashreplace"), end


codecs.register_error("spelt_out", _spelt_out)


def _refuse(message: str) -> NoReturn:
    print(f"seqvae: error: {shortened(message)}", file=sys.stderr)
    sys.exit(2)


def _dispatch(arguments: Sequence[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: seqvae VERB ... (seqvae VERB --help explains its flags)\n")
        for name, verb in VERBS.items():
            print(f"  {name:<12} {verb.__doc__}")
        return
    if arguments[0] == "--version":
        print(seqvae.__version__)
        return
    if arguments[0] not in VERBS:
        close = difflib.get_close_matches(arguments[0], VERBS, n=1)
        guess = f"; did you mean {close[0]}?" if close else ""
        raise InputError(f"no verb {arguments[0]!r}{guess}; there are {', '.join(VERBS)}")
    VERBS[arguments[0]](arguments[1:])


def _file_for(named: str | None, flag: str) -> Path | None:
    """A file that results go to, checked before the work for it is done."""
    if named is None:
        return None
    file = expanded(named)
    if named == "-":
        raise InputError(f"{flag} -: name a file; standard output has the table")
    if file.is_dir():
        raise InputError(f"{flag} {named}: a folder; name a file")
    with writing_to(file, f"name another file with {flag}"):
        require_folder(file.parent)
    return file


def _files_of(folder: str | Path) -> list[Path]:
    """The files of a model or a corpus; none where there is no such folder, which others tell."""
    return [*expanded(folder).glob("*")]


def _with_piped(vae: Any, inputs: list[str]) -> list[Any]:
    """Inputs; those of a model of text with the lines on standard input in the place of `-`."""
    if vae.tokenizer.modality == "music" or "-" not in inputs:
        return inputs
    from seqvae.inference.encoding import piped_sentences

    lines = piped_sentences(vae.tokenizer)
    return [text for each in inputs for text in (lines if each == "-" else [each])]


def _generate(kind: type, arguments: Sequence[str]) -> None:
    """Call a verb of the model and print or write what comes back."""
    parser = _verb_parser(kind)
    parser.add_argument("--out", help="folder for the results; clips go to out/ by default")
    parser.add_argument("--audio", action="store_true", help="write WAV files beside MIDI files")
    run, chosen = parse(parser, kind, arguments)
    out, audio = chosen.pop("out"), chosen.pop("audio")
    vae, verb = seqvae.load(run), kind.__name__.lower()
    _refuse_flags_of_music(vae, kind, chosen | {"audio": audio})
    is_music = vae.tokenizer.modality == "music"
    if audio:
        from seqvae.music.audio import check_audio

        check_audio()
    if kind is options.Humanise:  # which reads more of a file than its windows
        chosen["inputs"] = vae.codec.sources(chosen["inputs"])
    elif "inputs" in chosen:
        chosen["inputs"] = _with_piped(vae, chosen["inputs"])
        chosen["inputs"] = vae.codec.opened(chosen["inputs"], kind(**chosen))
    folder = expanded(out or "out")
    if out or is_music:
        with writing_to(folder, NAME_OUT):
            require_folder(folder)
    if kind is options.Decode:
        from seqvae.inference.bundle import fingerprint
        from seqvae.inference.code_table import read_means

        made_by = fingerprint(vae.model)
        chosen["z"] = read_means(expanded(chosen["z"]), vae.model.config.latent_dim, made_by)
    results = getattr(vae, verb)(**chosen)
    if is_music:
        from seqvae.inference.inputs import Opened

        read = [value for name in options.INPUT_FIELDS for value in _as_list(chosen.get(name, []))]
        inputs = [value.source if isinstance(value, Opened) else value for value in read]
        with writing_to(folder, NAME_OUT):
            _write_music(results, kind, inputs, folder, audio=audio)
        return
    # A model may spell a line break in byte pieces; here a line is an output.
    text = "".join(" ".join(result.splitlines()) + "\n" for result in results)
    if out:
        with writing_to(folder, NAME_OUT):
            write_file(folder / f"{verb}.txt", text)
    print(text, end="")


def _write_music(
    results: list[Any], kind: type, inputs: list[Any], folder: Path, *, audio: bool
) -> None:
    """Write clips, which are named for their verb and its inputs, and print where they are."""
    from seqvae.inference.outputs import output_names
    from seqvae.music.audio import write_audio
    from seqvae.music.midi import write_clips

    folder.mkdir(parents=True, exist_ok=True)
    names = output_names(kind.__name__.lower(), inputs, len(results))
    files = write_clips(results, folder, names)
    print(*files, *(write_audio(results, files) if audio else []), sep="\n")


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _verb_parser(kind: type) -> Parser:
    """A parser with the flags of a verb: the fields of its dataclass; most take a run, too."""
    verb = kind.__name__.lower()
    parser = Parser(prog=f"seqvae {verb}", description=VERBS[verb].__doc__)
    if VERBS[verb] in (*PLAYING, evaluate):
        parser.add_argument("run", help=A_MODEL)
    add_flags(parser, kind)
    return parser


def _refuse_flags_of_music(vae: Any, kind: type, chosen: dict[str, Any]) -> None:
    if vae.tokenizer.modality == "music":
        return
    defaults = {field.name: field.default for field in fields(kind)} | {"audio": False}
    for name in (*options.OF_MUSIC, "audio"):
        if name in chosen and chosen[name] != defaults[name]:
            raise InputError(f"--{name} is for music; this model takes text")


def _refuse_column_of_text(vae: Any, column: str | None) -> None:
    if column is not None and vae.tokenizer.modality == "music":
        raise InputError("--column is for texts; this model takes music")


if __name__ == "__main__":
    main()
