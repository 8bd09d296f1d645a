"""Write the English side of files of sentence pairs, each sentence once, in a random order.

    python scripts/models/sentences_of.py PAIRS OUT

PAIRS is a folder of files with an English sentence, a tab and its translation on each line, OUT a
file with a sentence of 3 to 12 words on each line. All words are among the most frequent of these
sentences, so that a small model has seen each of them often.
"""

import random
import re
import sys
from collections import Counter
from pathlib import Path

WORDS = range(3, 13)
MOST_FREQUENT = 1500  # words
PLAIN = re.compile(r"[A-Z][A-Za-z', ]+[.?!]")
WORD = re.compile(r"[A-Za-z']+")


def sentences_in(pairs: Path) -> list[str]:
    """The sentences of all files."""
    found: set[str] = set()
    for file in sorted(pairs.glob("*.txt")):
        for line in file.read_text(encoding="utf-8-sig").splitlines():
            sentence, tab, _ = line.partition("\t")
            if tab and len(sentence.split()) in WORDS and PLAIN.fullmatch(sentence.strip()):
                found.add(sentence.strip())
    shuffled = sorted(of_frequent_words(found))
    random.Random(0).shuffle(shuffled)
    return shuffled


def of_frequent_words(sentences: set[str]) -> list[str]:
    """The sentences all of whose words are frequent in them; "The" is the word "the"."""
    words = {sentence: WORD.findall(sentence.lower()) for sentence in sentences}
    counts = Counter(word for each in words.values() for word in each)
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    frequent = set(ranked[:MOST_FREQUENT])
    return [sentence for sentence, each in words.items() if frequent.issuperset(each)]


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(
        "\n".join(sentences_in(Path(sys.argv[1]))) + "\n", encoding="utf-8"
    )
