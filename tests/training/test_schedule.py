"""What the number of a step decides."""

import dataclasses

import pytest

from seqvae.errors import InputError
from seqvae.model.remedies import BetaSchedule, Objective
from seqvae.training.config import Config, TrainerConfig
from seqvae.training.schedule import UNKNOWN, Schedule


def schedule(num_sequences: int, objective: Objective | None = None, **trainer: object) -> Schedule:
    settings = dataclasses.replace(TrainerConfig(), **trainer)  # type: ignore[arg-type]
    config = Config(name="x", objective=objective or Objective(), trainer=settings)
    return Schedule(config, num_sequences)


@pytest.mark.parametrize(
    ("num_sequences", "batch_size", "min_epoch_steps", "num_passes", "steps_per_epoch"),
    [
        (40, 8, 1, 1, 5),
        (41, 8, 1, 1, 6),  # the last batch is a small one
        (7, 8, 1, 1, 1),
        (40, 8, 5, 1, 5),
        (40, 8, 6, 2, 10),
        (7, 8, 6, 6, 6),
    ],
)
def test_an_epoch_is_whole_passes(
    num_sequences: int, batch_size: int, min_epoch_steps: int, num_passes: int, steps_per_epoch: int
) -> None:
    course = schedule(
        num_sequences, batch_size=batch_size, min_epoch_steps=min_epoch_steps, max_epochs=3,
        pretrain_epochs=2,
    )  # fmt: skip
    assert course.num_passes == num_passes
    assert course.steps_per_epoch == steps_per_epoch
    assert course.num_steps == 3 * steps_per_epoch
    assert course.pretrain_steps == 2 * steps_per_epoch


def test_the_learning_rate_rises_then_falls_to_its_share() -> None:
    course = schedule(
        1, max_epochs=110, learning_rate=2.0, warmup_steps=10, final_learning_rate_share=0.1
    )
    rates = [course.learning_rate(step) for step in range(111)]
    assert rates[:10] == pytest.approx([(step + 1) / 5 for step in range(10)])
    assert rates[10] == pytest.approx(2.0)
    assert rates[60] == pytest.approx(1.1)
    assert rates[110] == pytest.approx(0.2)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_both_stages_warm_up_and_the_first_has_no_kl() -> None:
    beta = BetaSchedule(beta_warmup_steps=20, max_beta=0.5)
    settings = {"learning_rate": 1.0, "warmup_steps": 10, "final_learning_rate_share": 0.1}
    course = schedule(1, Objective(beta=beta), max_epochs=110, pretrain_epochs=60, **settings)
    alone = schedule(1, Objective(beta=beta), max_epochs=50, **settings)
    assert course.stage(59) == (59, 60)
    assert course.stage(60) == (0, 50)
    assert [course.beta(step) for step in range(60)] == [0.0] * 60
    assert course.beta(70) == pytest.approx(0.25)
    for step in range(50):
        assert course.learning_rate(60 + step) == alone.learning_rate(step)
        assert course.beta(60 + step) == alone.beta(step)
    first = schedule(1, max_epochs=60, **settings)
    assert [course.learning_rate(step) for step in range(60)] == [
        first.learning_rate(step) for step in range(60)
    ]


def test_steps_take_the_place_of_epochs() -> None:
    course = schedule(40, batch_size=8, max_epochs=3, max_steps=7, validate_every=1)
    assert course.num_steps == 7
    assert [step for step in range(1, 8) if course.is_validated(step)] == [5, 7]
    assert course.learning_rate(7) == pytest.approx(course.learning_rate(6), rel=1)


def test_a_warm_up_takes_half_of_a_short_training_at_most() -> None:
    course = schedule(1, max_steps=10, learning_rate=1.0, warmup_steps=200)
    rates = [course.learning_rate(step) for step in range(10)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[9] < 0.2


def test_minutes_become_steps_by_the_speed_so_far() -> None:
    course = schedule(1, max_minutes=2.0, learning_rate=1.0, warmup_steps=4)
    assert course.num_steps == UNKNOWN
    assert course.learning_rate(1000) == 1.0
    estimated = [step for step in range(1, 130) if course.is_estimated(step)]
    assert estimated == [8, 16, 32, 50, 64, 100, 128]
    course.estimate(8, 16.0)
    assert course.num_steps == 60
    course.estimate(16, 16.0)  # the first steps were slow
    assert course.num_steps == 120
    course.estimate(64, 121.0)
    assert course.num_steps == 64
    assert not schedule(1).is_estimated(50)


def test_a_training_that_ends_with_its_first_stage_is_refused() -> None:
    with pytest.raises(InputError, match="pretrain_epochs 2 are 10 steps, of max_steps 10"):
        schedule(40, batch_size=8, max_steps=10, pretrain_epochs=2)
