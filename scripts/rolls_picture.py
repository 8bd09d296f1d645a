"""The picture of README.md: an interpolation of data/examples as piano rolls, one beside the other.

    python scripts/rolls_picture.py

Goes to results/interpolation.png. The file carries a digest of the clips that it shows.
"""

import hashlib
import sys
from pathlib import Path

import pretty_midi

from seqvae.exchange.rolls import draw_interpolation

CLIPS = Path(__file__).parents[1] / "data" / "examples" / "melody_2bar"
PICTURE = Path(__file__).parent / "results" / "interpolation.png"
DIGEST = "Clips"  # the key of the digest in the PNG file


def clips_of(folder: Path) -> list[Path]:
    """The interpolation of a folder of examples, from start to end."""
    return sorted(folder.glob("interpolate_*.mid"))


def digest(clips: list[Path]) -> str:
    """The same for the same clips, whatever their names."""
    return hashlib.sha256(b"".join(clip.read_bytes() for clip in clips)).hexdigest()


def main() -> None:
    """Draw the clips of a folder: by default those of melody_2bar."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else CLIPS
    picture = Path(sys.argv[2]) if len(sys.argv) > 2 else PICTURE
    clips = clips_of(folder)
    if len(clips) < 2:
        sys.exit(f"{folder}: no interpolate_*.mid; make them with scripts/make_examples.py")
    parsed = [pretty_midi.PrettyMIDI(str(clip)) for clip in clips]
    draw_interpolation(parsed, picture, {DIGEST: digest(clips)})
    print(picture)


if __name__ == "__main__":
    main()
