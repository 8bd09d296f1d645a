"""Writes data/examples from trained models: chosen by seed, nothing is picked by hand.

    python scripts/make_examples.py drums_2bar melody_2bar runs/captions

A model of music gives sixteen samples, their rolls in one picture, and an interpolation between the
first two in seven steps. A model of text gives sixteen samples, and eight interpolations between
sentences that no corpus holds.
"""

import sys
from pathlib import Path

import pretty_midi

import seqvae
from seqvae.exchange.rolls import draw_samples
from seqvae.inference.outputs import output_names
from seqvae.inference.trained import TrainedVAE
from seqvae.music.midi import write_clips

EXAMPLES = Path(__file__).parents[1] / "data" / "examples"
SEED, NUM_SAMPLES, TEMPERATURE = 1, 16, 0.8
PAIRS = [
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
    (make_text if vae.tokenizer.modality == "text" else make_music)(vae, folder)


def make_music(vae: TrainedVAE, folder: Path) -> None:
    """Write MIDI files, and a picture of the samples."""
    drawn = vae.sample(NUM_SAMPLES, temperature=TEMPERATURE, seed=SEED)
    samples = [clip for clip in drawn if isinstance(clip, pretty_midi.PrettyMIDI)]
    write_clips(samples, folder, output_names("sample", [], len(samples)))
    draw_samples(samples, folder / "samples.png")
    path = vae.interpolate(samples[0], samples[1], num_steps=7)
    clips = [clip for clip in path if isinstance(clip, pretty_midi.PrettyMIDI)]
    write_clips(clips, folder, output_names("interpolate", [], len(clips)))


def make_text(vae: TrainedVAE, folder: Path) -> None:
    """Write a file of samples and one of interpolations."""
    samples = vae.sample(NUM_SAMPLES, temperature=0.6, seed=SEED)
    (folder / "samples.txt").write_text("".join(f"{line}\n" for line in samples), encoding="utf-8")
    blocks = []
    for start, end in PAIRS:
        path = vae.interpolate(start, end, num_steps=5)
        blocks.append("".join(f"{line}\n" for line in [f"[{start}]", *path, f"[{end}]"]))
    (folder / "interpolations.txt").write_text("\n".join(blocks), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python scripts/make_examples.py MODEL...")
    for place in sys.argv[1:]:
        make_examples(Path(place))
