"""Writes log lines of a made-up store of blocks, and some with planted anomalies, to test `score`.

    python scripts/made_logs.py logs

`logs/normal.txt` is for training: one line an event, without timestamps. `logs/planted.tsv` holds a
kind, a tab and a line: as many lines without an anomaly (kind `normal`) as with one:

- unseen: words that no normal line has;
- level: the event's level is another one;
- field: an address stands where a number belongs, or the other way round;
- crossed: the line begins as one event and goes on after its block as another;
- missing: words are left out of the line;
- size: a number has three more digits than it ever has.

Blocks, addresses, ports and sizes are drawn at random, as in the logs of HDFS.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from random import Random

from seqvae.disk import write_file

# Share of the lines, and the event. {B} is a block, {A} an address, {S} a size, {N} a small number.
EVENTS = (
    (22, "INFO store.Receiver: receiving {B} from {A} to {A}"),
    (16, "INFO store.Receiver: received {B} of size {S} from {A}"),
    (16, "INFO store.Responder: responder {N} for {B} is done"),
    (14, "INFO names.Directory: {A} was added to the map of {B} with size {S}"),
    (8, "INFO names.Directory: {B} allocated for /user/root/out/part-{N}"),
    (7, "INFO store.Checker: {B} verified in {N} ms"),
    (6, "INFO names.Directory: {B} is in the set of invalid blocks of {A}"),
    (5, "INFO store.Dataset: deleting {B} at /data/current/sub{N}"),
    (3, "INFO store.Sender: sending {B} to {A} took {N} ms"),
    (2, "WARN store.Sender: {A} refused {B} after {N} tries"),
    (1, "WARN names.Monitor: no answer from {A} for {N} seconds"),
)
UNSEEN = (
    "disk quota exceeded", "checksum mismatch", "connection reset by peer", "out of memory",
    "unexpected end of stream", "permission denied",
)  # fmt: skip


def make_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("folder", type=Path, help="where the files go")
    parser.add_argument("--lines", type=int, default=30_000, help="lines for training")
    parser.add_argument("--planted", type=int, default=600, help="lines with an anomaly")
    parser.add_argument("--seed", type=int, default=0, help="seed of all draws")
    return parser


def main() -> None:
    """Write both files."""
    chosen = make_parser().parse_args()
    draw = Random(chosen.seed)
    chosen.folder.mkdir(parents=True, exist_ok=True)
    normal = [filled(event(draw), draw) for _ in range(chosen.lines)]
    write_file(chosen.folder / "normal.txt", "".join(f"{line}\n" for line in normal))
    kinds = [*PLANTED] * -(-chosen.planted // len(PLANTED))
    rows = [("normal", filled(event(draw), draw)) for _ in range(chosen.planted)]
    rows += [(kind, PLANTED[kind](draw)) for kind in kinds[: chosen.planted]]
    write_file(chosen.folder / "planted.tsv", "".join(f"{kind}\t{line}\n" for kind, line in rows))


def event(draw: Random) -> str:
    """An event, with its fields still empty."""
    shares, events = zip(*EVENTS, strict=True)
    return str(draw.choices(events, shares)[0])


def filled(line: str, draw: Random) -> str:
    """The line with a value for each of its fields."""
    for field, value in FIELDS.items():
        while field in line:
            line = line.replace(field, value(draw), 1)
    return line


def byte(draw: Random) -> int:
    """A part of an address."""
    return draw.randrange(256)


FIELDS: dict[str, Callable[[Random], str]] = {
    "{B}": lambda draw: f"blk_{draw.randrange(10**9, 10**10)}",
    "{A}": lambda draw: f"10.25{draw.randrange(2)}.{byte(draw)}.{byte(draw)}:50010",
    "{S}": lambda draw: str(draw.choice((67_108_864, draw.randrange(10**6, 10**8)))),
    "{N}": lambda draw: str(draw.randrange(100)),
}  # fmt: skip


# Anomalies


def unseen(draw: Random) -> str:
    """The end of an event is another message."""
    line = event(draw)
    return filled(f"{line[: line.index(': ') + 2]}{draw.choice(UNSEEN)} for {{B}}", draw)


def other_level(draw: Random) -> str:
    """INFO for WARN, or the other way round."""
    level, _, rest = event(draw).partition(" ")
    return filled(f"{'WARN' if level == 'INFO' else 'INFO'} {rest}", draw)


def other_field(draw: Random) -> str:
    """An address is replaced by a number, or a number by an address."""
    line = event(draw)
    found = [field for field in ("{A}", "{S}", "{N}") if field in line]
    field = draw.choice(found)
    return filled(line.replace(field, "{A}" if field != "{A}" else "{S}", 1), draw)


def crossed(draw: Random) -> str:
    """The beginning of one event, and what follows the block in another."""
    begin, block, _ = event(draw).partition("{B}")
    if not block:
        return crossed(draw)
    halves = [line.partition(block) for _, line in EVENTS if block in line]
    own = {end for other, _, end in halves if other == begin}
    others = sorted({end for _, _, end in halves if end} - own)
    return filled(begin + block + draw.choice(others), draw)


def missing(draw: Random) -> str:
    """Two words in a row are left out, after the name of the component."""
    words = event(draw).split(" ")
    place = draw.randrange(2, len(words) - 1)
    return filled(" ".join(words[:place] + words[place + 2 :]), draw)


def too_large(draw: Random) -> str:
    """A small number or a size is a thousand times as large."""
    line = event(draw)
    if "{S}" not in line and "{N}" not in line:
        return too_large(draw)
    return filled(line.replace("{S}", "{S}000").replace("{N}", "{N}000"), draw)


PLANTED = {
    "unseen": unseen,
    "level": other_level,
    "field": other_field,
    "crossed": crossed,
    "missing": missing,
    "size": too_large,
}


if __name__ == "__main__":
    main()
