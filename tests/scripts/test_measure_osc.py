"""How well the instrument keeps time: the figures of what was heard."""

import measure_osc
import pytest


def test_drift_is_between_the_first_and_the_last_beats() -> None:
    slow = [(10 + number * 0.5001, number) for number in range(100) if number != 50]
    figures = measure_osc.timing(slow, {(1, 60): 0, (1, 62): 1, (10, 36): -1}, errors=2)
    assert (figures["beats"], figures["missing"]) == (99, 1)
    assert figures["drift_ms"] == pytest.approx(9.1, abs=0.1)
    assert figures["late_most_ms"] == pytest.approx(9.9)
    assert (figures["stuck"], figures["errors"]) == (2, 2)
    row = {"name": "melody_2bar", "minutes": 10.0, "quiet": True, **figures}
    assert "| `melody_2bar`, 10 minutes | 99, 1 | +9.10 ms" in measure_osc.table([row])


def test_a_note_that_ends_is_not_stuck() -> None:
    balance: dict[tuple[int, int], int] = {}
    for velocity in (80, 0, 90):
        measure_osc.count(balance, [60, velocity, 1])
    assert balance == {(1, 60): 1}
