"""A clip that plays round and round, on a clock that the test turns."""

from collections.abc import Callable
from typing import Any

import pytest

from seqvae.music.notes import Piece, make_notes
from seqvae.serving.loop import SLEEP, Looper, notes_of

# Half a bar at 120 qpm lasts a second: a kick, and a note that is held into the next round.
PIECE = Piece(
    make_notes([0, 6], [1, 8], [36, 60], is_drum=[True, False], track=[1, 0], offset=[0, 0.5]),
    4, num_steps=8,
)  # fmt: skip


class Stage:
    """An output that keeps what it is told, and when."""

    def __init__(self) -> None:
        self.time = 100.0
        self.told: list[tuple[Any, ...]] = []

    def note(self, pitch: int, velocity: int, channel: int) -> None:
        self.told.append((round(self.time - 100, 6), pitch, velocity, channel))

    def tick(self, number: int) -> None:
        self.told.append((round(self.time - 100, 6), "tick", number))

    def start(self) -> None:
        self.told.append(("start",))

    def stop(self) -> None:
        self.told.append(("stop",))

    @property
    def notes(self) -> list[tuple[Any, ...]]:
        return [each for each in self.told if len(each) == 4]

    @property
    def ticks(self) -> list[tuple[Any, ...]]:
        return [each for each in self.told if "tick" in each]


def play_until(
    stage: Stage, looper: Looper, end: float, lag: Callable[[float], float] = lambda wait: wait
) -> None:
    """Wait as long as the looper asks, or longer."""
    while stage.time < 100 + end:
        wait = looper.advance()
        assert wait is not None
        stage.time += lag(wait)


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def looper(stage: Stage) -> Looper:
    looper = Looper([stage], now=lambda: stage.time)
    looper.take(*notes_of(PIECE))
    return looper


def test_notes_and_ticks_come_at_their_moments(stage: Stage, looper: Looper) -> None:
    assert looper.advance() is None
    looper.play()
    play_until(stage, looper, 1.99)
    assert stage.told[0] == ("start",)
    assert stage.notes == [
        (0.0, 36, 80, 10), (0.125, 36, 0, 10), (0.8125, 60, 80, 1),
        (1.0, 60, 0, 1), (1.0, 36, 80, 10), (1.125, 36, 0, 10), (1.8125, 60, 80, 1),
    ]  # fmt: skip
    assert [number for _, _, number in stage.ticks] == [*range(96)]
    assert stage.ticks[48][0] == 1.0


def test_waiting_too_long_delays_nothing_that_follows(stage: Stage, looper: Looper) -> None:
    looper.play()
    play_until(stage, looper, 60, lag=lambda wait: wait + 0.004)
    moment, _, number = stage.ticks[-1]
    assert 0 <= moment - number / 48 < 0.005
    assert len(stage.ticks) == number + 1


def test_after_a_sleep_it_goes_on_anew(stage: Stage, looper: Looper) -> None:
    looper.play()
    play_until(stage, looper, 0.9)
    before = len(stage.told)
    stage.time += SLEEP + 1000
    looper.advance()
    assert stage.told[before] == (round(stage.time - 100, 6), 60, 0, 1)
    assert len(stage.told) < before + 5


def test_notes_that_are_much_too_late_are_left_out_and_the_beat_stays(
    stage: Stage, looper: Looper
) -> None:
    looper.play()
    play_until(stage, looper, 0.9)
    before = len(stage.notes)
    stage.time += 4.6
    play_until(stage, looper, 6.9)
    assert stage.notes[before][1:] == (60, 0, 1)
    assert [each[0] for each in stage.notes[before + 1 :] if each[2]] == [5.8125, 6.0, 6.8125]
    assert [number for _, _, number in stage.ticks] == [*range(len(stage.ticks))]
    moment, _, number = stage.ticks[-1]
    assert moment == pytest.approx(number / 48)


def test_every_note_ends_whatever_happens(stage: Stage, looper: Looper) -> None:
    looper.play()
    play_until(stage, looper, 0.9)
    other = Piece(make_notes([0, 2, 7], [16, 16, 16], [60, 60, 72]), 4, num_steps=16)
    looper.take(*notes_of(other))
    play_until(stage, looper, 2.5)
    looper.set_tempo(60)
    play_until(stage, looper, 4)
    looper.stop()
    assert looper.sounding == {}
    assert stage.told[-1] == ("stop",)
    balance: dict[tuple[int, int], int] = {}
    for _, pitch, velocity, channel in stage.notes:
        balance[pitch, channel] = balance.get((pitch, channel), 0) + (1 if velocity else -1)
        assert balance[pitch, channel] in (0, 1)
    assert {*balance.values()} == {0}
    looper.play()
    looper.close()
    assert stage.told[-1] == ("stop",)


def test_another_tempo_begins_where_it_is(stage: Stage, looper: Looper) -> None:
    looper.play()
    play_until(stage, looper, 1)
    looper.set_tempo(60)
    play_until(stage, looper, 3.1)
    assert [moment for moment, _, number in stage.ticks if number in (72, 96)] == pytest.approx(
        [2.0, 3.0], abs=1e-3
    )
    for _ in range(10):  # as a hand turns a knob
        looper.advance()
        stage.time += 0.01
        looper.set_tempo(90)
        looper.set_tempo(60)
    play_until(stage, looper, 4.1)
    assert [moment for moment, _, number in stage.ticks if number == 120] == pytest.approx([4.0])
    looper.set_tempo(1e9)
    assert looper.qpm == 400


def test_notes_stay_within_their_clip() -> None:
    early = Piece(make_notes([0], [4], [60], offset=[-0.4]), 4)
    ((note,), length) = notes_of(early)
    assert (note.start, note.length, length) == (0, 960, 960)
