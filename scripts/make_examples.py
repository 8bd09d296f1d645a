"""Writes data/examples from trained models: chosen by seed, nothing is picked by hand.

    python scripts/make_examples.py drums_2bar melody_2bar runs/captions

A model of music gives sixteen samples, their rolls in one picture, and an interpolation between the
first two in seven steps. A model that reads less of a beat than it writes gives what it makes of
sixteen held-out clips, beside what it read. A model of text gives sixteen samples, and eight
interpolations: between held-out sentences where some ship, else between some that no corpus holds.
"""

import random
import sys
from pathlib import Path

import pretty_midi
from benchmark_humanise import make_stiff, sixteenth_of

import seqvae
from seqvae.exchange.rolls import draw_samples
from seqvae.inference.cards import TEMPERATURES
from seqvae.inference.outputs import output_names
from seqvae.inference.trained import TrainedVAE
from seqvae.music.midi import write_clips
from seqvae.tokenizers.groove import GrooveTokenizer

DATA = Path(__file__).parents[1] / "data"
EXAMPLES, CLIPS = DATA / "examples", DATA / "clips"
SEED, NUM_SAMPLES, NUM_PAIRS = 1, 16, 8
TAPPED, TAPPED_TEMPERATURE = 38, 0.5  # the drum that a rhythm is tapped on; as its card has it
PAIRS: list[tuple[str, ...]] = [
    ("A man is sleeping on a couch.", "Two dogs are playing in the snow."),
    ("A woman is reading a book in the park.", "A boy is riding a bike down the street."),
    ("Three children are playing soccer on a field.", "An old man is sitting on a bench."),
    ("A girl in a red dress is dancing.", "A man in a blue shirt is climbing a rock."),
    ("People are waiting for a train.", "A group of people are standing on a beach."),
    ("A black dog is running through the grass.", "A man is cooking food in a kitchen."),
    ("Two men are playing guitar on a stage.", "A little girl is eating ice cream."),
    ("A worker is fixing a roof.", "A child is jumping into a swimming pool."),
]


def make_examples(run: Path) -> None:
    """Write the examples of a run, or of a model that ships."""
    vae = seqvae.load(run, "cpu")
    folder = EXAMPLES / run.name
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = vae.tokenizer
    if tokenizer.modality == "text":
        make_text(vae, folder)
    elif isinstance(tokenizer, GrooveTokenizer) and tokenizer.encoder_sees != "performance":
        make_played(vae, tokenizer, folder)
    else:
        make_music(vae, folder)


def make_music(vae: TrainedVAE, folder: Path) -> None:
    """Write MIDI files, and a picture of the samples."""
    drawn = vae.sample(NUM_SAMPLES, temperature=TEMPERATURES["music"], seed=SEED)
    samples = [clip for clip in drawn if isinstance(clip, pretty_midi.PrettyMIDI)]
    write_clips(samples, folder, output_names("sample", [], len(samples)))
    draw_samples(samples, folder / "samples.png")
    path = vae.interpolate(samples[0], samples[1], num_steps=7)
    clips = [clip for clip in path if isinstance(clip, pretty_midi.PrettyMIDI)]
    write_clips(clips, folder, output_names("interpolate", [], len(clips)))


def make_played(vae: TrainedVAE, tokenizer: GrooveTokenizer, folder: Path) -> None:
    """Write what a model reads and what it makes of that, and a picture of the latter."""
    files = random.Random(SEED).sample(sorted((CLIPS / "drums").glob("*.mid")), NUM_SAMPLES)
    read = [pretty_midi.PrettyMIDI(str(file)) for file in files]
    for song in read:
        keep_start(song, 16 * tokenizer.num_bars)
    if tokenizer.encoder_sees == "hits":
        for song in read:
            make_stiff(song)
        made = vae.humanise(read)
    else:
        for note in (note for song in read for drums in song.instruments for note in drums.notes):
            note.pitch = TAPPED
        made = vae.reconstruct(read, temperature=TAPPED_TEMPERATURE, seed=SEED)
    write_clips(read, folder, output_names("read", [], len(read)))
    write_clips(made, folder, output_names("played", [], len(made)))
    draw_samples(made, folder / "samples.png")


def keep_start(song: pretty_midi.PrettyMIDI, num_sixteenths: int) -> None:
    """Leave out what comes after so many sixteenths."""
    sixteenth = sixteenth_of(song)
    end = num_sixteenths * sixteenth
    for drums in song.instruments:
        drums.notes = [
            note for note in drums.notes if round(note.start / sixteenth) < num_sixteenths
        ]
        drums.control_changes = [change for change in drums.control_changes if change.time < end]
        for note in drums.notes:
            note.end = min(note.end, max(end, note.start + sixteenth / 4))


def make_text(vae: TrainedVAE, folder: Path) -> None:
    """Write a file of samples and one of interpolations."""
    samples = vae.sample(NUM_SAMPLES, temperature=TEMPERATURES["text"], seed=SEED)
    (folder / "samples.txt").write_text("".join(f"{line}\n" for line in samples), encoding="utf-8")
    blocks = []
    for start, end in pairs_of(folder.name):
        path = vae.interpolate(start, end, num_steps=5)
        blocks.append("".join(f"{line}\n" for line in [f"[{start}]", *path, f"[{end}]"]))
    (folder / "interpolations.txt").write_text("\n".join(blocks), encoding="utf-8")


def pairs_of(name: str) -> list[tuple[str, ...]]:
    """The sentences that an interpolation begins and ends with."""
    file = CLIPS / name / "sentences.txt"
    if not file.is_file():
        return PAIRS
    lines = file.read_text(encoding="utf-8").splitlines()[: 2 * NUM_PAIRS]
    return list(zip(lines[::2], lines[1::2], strict=True))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python scripts/make_examples.py MODEL...")
    for place in sys.argv[1:]:
        make_examples(Path(place))
