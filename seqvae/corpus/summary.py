"""A manifest as a table: what the sources gave, and what was left out for which reason."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from seqvae.corpus.store import SourceRow
from seqvae.reasons import UNITS, Dropped, Reason, amount, ranked

MAX_LINES = 15  # of the table on the screen
VALUES = re.compile(r"'[^']*'|\"[^\"]*\"|-?\d[\d.,]*")  # which differ from source to source


def summary(manifest: Sequence[SourceRow]) -> list[str]:
    """How many sources gave sequences; then a line per reason, the largest first of each unit.

    Counts add up: the files that were left out and those that were used are all files.
    """
    used = [row for row in manifest if row.reason is None]
    num_sequences = sum(sum(row.taken.values()) for row in used)
    lines = [f"files used: {len(used)} of {len(manifest)}, {amount(num_sequences, 'sequence')}"]
    left_out, noted = left_out_of(manifest), Dropped()
    for row in used:
        noted.update(row.noted)
    for title, counts in (("left out:", left_out), ("used, but:", noted)):
        if counts:
            lines += [title, *_table(counts, MAX_LINES - len(lines) - 1)]
    return lines


def left_out_of(manifest: Iterable[SourceRow]) -> Dropped:
    """What was left out of all sources. A source that gave nothing counts once, as a file."""
    left_out = Dropped()
    refused: dict[str, Counter[str]] = {}
    for row in manifest:
        left_out.update({r: n for r, n in row.dropped.items() if r.unit != "file"})
        if row.reason is None:
            continue
        known = next((reason for reason in row.dropped if reason.text == row.reason), None)
        if known is None:
            refused.setdefault(VALUES.sub("*", row.reason), Counter())[row.reason] += 1
        else:
            left_out[Reason("file", known.text, known.remedy)] += 1
    for texts in refused.values():
        text, _ = texts.most_common(1)[0]
        others = " (or another value)" if len(texts) > 1 else ""
        left_out[Reason("file", text + others)] += texts.total()
    return left_out


def _table(counts: Dropped, max_lines: int) -> list[str]:
    """A line per reason; where there are too many, the rarest of the longest list share one."""
    groups: dict[str, list[tuple[str, int]]] = {unit: [] for unit in UNITS}
    for reason, count in ranked(counts):
        groups[reason.unit].append((str(reason), count))
    shared = dict.fromkeys(UNITS, 0)
    while sum(map(len, groups.values())) + sum(map(bool, shared.values())) > max_lines:
        unit = max(UNITS, key=lambda unit: len(groups[unit]))
        if len(groups[unit]) < 2:
            break  # a line per unit is the least
        groups[unit].pop()
        shared[unit] += 1
    lines = []
    for unit, reasons in groups.items():
        if shared[unit]:
            all_of_unit = sum(count for reason, count in counts.items() if reason.unit == unit)
            rest = all_of_unit - sum(count for _, count in reasons)
            reasons.append((amount(shared[unit], "other reason"), rest))
        lines += [
            f"{count:>9} {unit + 's' * (count != 1):<8} {reason}" for reason, count in reasons
        ]
    return lines
