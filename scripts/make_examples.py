"""Writes data/examples from trained runs: chosen by seed, nothing is picked by hand.

    python scripts/make_examples.py runs/melody_2bar runs/captions

A run of music gives eight samples, and an interpolation between the first two in seven steps. A run
of text gives sixteen samples, and eight interpolations between sentences that no corpus holds.
"""

import sys
from pathlib import Path

import pretty_midi

import seqvae
from seqvae.inference.outputs import output_names
from seqvae.inference.trained import TrainedVAE
from seqvae.music.midi import write_clips

EXAMPLES = Path(__file__).parents[1] / "data" / "examples"
SEED = 1
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
    """Write the examples of a run."""
    vae = seqvae.load(run)
    folder = EXAMPLES / run.name
    folder.mkdir(parents=True, exist_ok=True)
    (make_text if vae.tokenizer.modality == "text" else make_music)(vae, folder)


def make_music(vae: TrainedVAE, folder: Path) -> None:
    """Write MIDI files."""
    samples = [s for s in vae.sample(8, temperature=0.8, seed=SEED) if not isinstance(s, str)]
    write_clips(samples, folder, output_names("sample", [], len(samples)))
    path = vae.interpolate(samples[0], samples[1], num_steps=7)
    clips = [clip for clip in path if isinstance(clip, pretty_midi.PrettyMIDI)]
    write_clips(clips, folder, output_names("interpolate", [], len(clips)))


def make_text(vae: TrainedVAE, folder: Path) -> None:
    """Write a file of samples and one of interpolations."""
    samples = vae.sample(16, temperature=0.6, seed=SEED)
    (folder / "samples.txt").write_text("".join(f"{line}\n" for line in samples), encoding="utf-8")
    blocks = []
    for start, end in PAIRS:
        path = vae.interpolate(start, end, num_steps=5)
        blocks.append("".join(f"{line}\n" for line in [f"[{start}]", *path, f"[{end}]"]))
    (folder / "interpolations.txt").write_text("\n".join(blocks), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python scripts/make_examples.py RUN...")
    for place in sys.argv[1:]:
        make_examples(Path(place))
