"""What is asked for between two steps, and when."""

import pytest

from seqvae.training import requests as requests_file
from seqvae.training.requests import Requests


class Clock:
    """Seconds, as the test sets them."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(requests_file, "time", made)
    return made


def test_a_checkpoint_is_due_every_so_many_minutes(clock: Clock) -> None:
    requests = Requests(checkpoint_minutes=2.0)
    due = {}
    for seconds in (100, 219, 220, 221, 339, 341, 342):
        clock.now = seconds
        due[seconds] = requests.between_steps()
    assert [seconds for seconds, is_due in due.items() if is_due] == [220, 341]
    assert requests.signal_of_all == 0


def test_a_signal_is_known_after_the_step(clock: Clock) -> None:
    requests = Requests(checkpoint_minutes=2.0)
    requests.interrupt(15)
    assert requests.signal_of_all == 0
    assert not requests.between_steps()
    assert requests.signal_of_all == 15


def test_a_signal_is_known_to_all_at_once_where_they_wait(clock: Clock) -> None:
    requests = Requests(checkpoint_minutes=2.0)
    requests.agree()
    assert requests.signal_of_all == 0
    requests.interrupt(2)
    requests.agree()
    assert requests.signal_of_all == 2
