"""Write the English side of files of sentence pairs, each sentence once, in a random order.

    python scripts/models/sentences_of.py PAIRS OUT

PAIRS is a folder of files with an English sentence, a tab and its translation on each line, OUT a
file with a sentence of 3 to 12 words on each line.
"""

import random
import sys
from pathlib import Path

WORDS = range(3, 13)


def sentences_in(pairs: Path) -> list[str]:
    """The sentences of all files."""
    found: set[str] = set()
    for file in sorted(pairs.glob("*.txt")):
        for line in file.read_text(encoding="utf-8-sig").splitlines():
            sentence, tab, _ = line.partition("\t")
            if tab and len(sentence.split()) in WORDS:
                found.add(sentence.strip())
    shuffled = sorted(found)
    random.Random(0).shuffle(shuffled)
    return shuffled


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(
        "\n".join(sentences_in(Path(sys.argv[1]))) + "\n", encoding="utf-8"
    )
