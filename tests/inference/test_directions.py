"""Directions against codes whose attributes are known."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import seqvae.inference.directions
from seqvae.errors import InputError
from seqvae.inference.directions import METHODS, Directions, extremes, fit_directions, make_score
from seqvae.model.latent import DiagonalGaussian

NUM, SIZE = 2000, 16
COMMON = torch.nn.functional.normalize(torch.arange(1.0, 1.0 + SIZE), dim=0)


def codes() -> DiagonalGaussian:
    mean = torch.randn(NUM, SIZE, generator=torch.Generator().manual_seed(0))
    return DiagonalGaussian(0.8 * mean, torch.full((NUM, SIZE), 0.5).log())


def fitted(method: str) -> Directions:
    """Of two attributes: `along` is one line, `mostly` is another that shares half of it."""
    posterior = codes()
    first = torch.eye(SIZE)[0]
    values = {"along": posterior.mean @ COMMON, "mostly": posterior.mean @ (COMMON + first)}
    return fit_directions(posterior, values, method=method, model="one")


@pytest.fixture(scope="module", autouse=True)
def _fewer_steps() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seqvae.inference.directions, "STEPS", 1000)
        yield


@pytest.fixture(scope="module", params=METHODS)
def directions(request: pytest.FixtureRequest) -> Directions:
    return fitted(request.param)


def test_slopes_are_those_of_the_attributes(directions: Directions) -> None:
    z = torch.randn(50, SIZE, generator=torch.Generator().manual_seed(1))
    slopes = directions.slopes(z)
    assert slopes.shape == (50, 2, SIZE)
    cosines = torch.nn.functional.cosine_similarity(slopes[:, 0], COMMON, dim=-1)
    assert cosines.mean() > 0.9  # a network is not quite straight


def test_an_amount_of_one_is_the_way_from_quarter_to_quarter(directions: Directions) -> None:
    z = codes().mean[:20]
    for amount in (1.0, -0.5):
        moved = directions.shift(z, "along", amount)
        change = (directions.score(moved) - directions.score(z))[:, 0] / directions.gap[0]
        torch.testing.assert_close(change.mean(), torch.tensor(amount), rtol=0.15, atol=0)
        if directions.method != "network":  # a line is gone along to its end
            torch.testing.assert_close(change, torch.full((20,), amount), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(directions.shift(z, "along", 0.0), z)


def test_no_way_is_longer_than_the_farthest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seqvae.inference.directions, "FARTHEST", 0.1)
    z = codes().mean[:20]
    way = fitted("probe").shift(z, "along", 2.0) - z
    torch.testing.assert_close(way.norm(dim=-1), torch.full((20,), 0.2 * SIZE**0.5))


def test_the_other_attribute_can_be_kept(directions: Directions) -> None:
    z = torch.randn(50, SIZE, generator=torch.Generator().manual_seed(3))
    score = directions.score
    plain = score(directions.shift(z, "mostly", 1.0)) - score(z)
    kept = score(directions.shift(z, "mostly", 1.0, keep_others=True)) - score(z)
    assert (kept[:, 1] > 0).all()
    assert kept[:, 0].abs().mean() < 0.1 * plain[:, 0].abs().mean()


def test_means_is_the_difference_of_the_quarters() -> None:
    posterior = codes()
    values = posterior.mean @ COMMON
    order = values.argsort()
    quarter = NUM // 4
    expected = posterior.mean[order[-quarter:]].mean(0) - posterior.mean[order[:quarter]].mean(0)
    slope = fitted("means").slopes(torch.zeros(1, SIZE))[0, 0]
    torch.testing.assert_close(slope, expected)
    spread = values[order[-quarter:]].mean() - values[order[:quarter]].mean()
    assert fitted("means").spread[0] == pytest.approx(float(spread), rel=1e-3)
    moved = fitted("means").shift(torch.zeros(1, SIZE), "along", 1.0)[0]
    torch.testing.assert_close(moved, expected)  # the attribute vector itself


def test_a_network_finds_what_no_line_can() -> None:
    """An attribute that grows away from the middle, on both sides."""
    posterior = codes()
    values = {"far": posterior.mean[:, 0].abs()}
    found = fit_directions(posterior, values, method="network", model="one")
    z = torch.zeros(2, SIZE)
    z[:, 0] = torch.tensor([0.5, -0.5])
    moved = found.shift(z, "far", 1.0)
    assert moved[0, 0] > 1
    assert moved[1, 0] < -1


@pytest.mark.parametrize("method", ["probe", "network"])
def test_what_means_alone_tell_is_not_learned(method: str) -> None:
    """Of two dimensions one tells the attribute exactly, but drowned in the posterior's width."""
    values = torch.randn(NUM, generator=torch.Generator().manual_seed(0))
    noise = torch.randn(NUM, generator=torch.Generator().manual_seed(1))
    mean = torch.stack([values + noise, 0.05 * values], dim=1)
    stddev = torch.tensor([0.1, 1.0]).expand(NUM, 2)
    posterior = DiagonalGaussian(mean, stddev.log())
    learned = fit_directions(posterior, {"value": values}, method=method, model="one")
    slopes = learned.slopes(mean[:50])[:, 0].abs()
    assert (slopes[:, 1] / slopes[:, 0]).median() < 0.3


def test_quarters_of_what_is_only_yes_or_no() -> None:
    low, high = extremes(torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0, 0.0]))
    assert low.tolist() == [True, False, True, True, True, True]
    assert high.tolist() == [False, True, False, False, False, False]
    with pytest.raises(InputError, match="it is 2 in the whole corpus"):
        extremes(torch.full((5,), 2.0))


def test_networks_of_any_width_come_back(tmp_path: Path) -> None:
    score = make_score(SIZE, 2, "network", 64)  # those of some models that ship are narrow
    Directions(("a", "b"), score, (1.0, 1.0), (1.0, 1.0), "network", "one").save(tmp_path)
    again = Directions.load(tmp_path, "one", SIZE)
    z = torch.randn(3, SIZE, generator=torch.Generator().manual_seed(0))
    assert torch.equal(again.score(z), score(z))


def test_a_network_has_the_width_that_is_asked_for() -> None:
    values = {"a": codes().mean[:, 0]}
    made = fit_directions(codes(), values, method="network", model="one", hidden_dim=8)
    assert [weight.shape for weight in made.score.parameters()][:3] == [(8, SIZE), (8,), (8, 8)]


def test_they_come_back_from_disk_but_not_to_another_model(
    directions: Directions, tmp_path: Path
) -> None:
    directions.save(tmp_path)
    again = Directions.load(tmp_path, "one", SIZE)
    z = torch.randn(5, SIZE)
    torch.testing.assert_close(again.shift(z, "mostly", 1.5), directions.shift(z, "mostly", 1.5))
    assert (again.names, again.spread, again.method) == (
        directions.names, directions.spread, directions.method,
    )  # fmt: skip
    with pytest.raises(InputError, match="fitted on another model"):
        Directions.load(tmp_path, "two", SIZE)
    (tmp_path / "attributes.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match=r"safetensors: damaged \(.+\); fit the attributes again"):
        Directions.load(tmp_path, "one", SIZE)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no attributes yet"):
        Directions.load(tmp_path, "one", SIZE)
    with pytest.raises(
        InputError,
        match="attribute is 'joy'; fitted are along, mostly; seqvae attributes RUN fits others",
    ):
        fitted("means").shift(torch.zeros(1, SIZE), "joy", 1.0)
    with pytest.raises(InputError, match="method is 'magic'"):
        fit_directions(codes(), {}, method="magic", model="one")
    with pytest.raises(InputError, match="attribute flat: it is 1 in the whole corpus"):
        fit_directions(codes(), {"flat": torch.ones(NUM)}, method="means", model="one")


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        ({"names": ["along"]}, r"2 spreads and 2 gaps of 1 names"),
        ({"names": ["along", "along"]}, r"2 spreads and 2 gaps of 2 names"),
        ({"names": "ab"}, "names is 'ab'; it takes a list of text"),
        ({"gap": [1.0, float("nan")]}, "gap is .*; it takes a list of a finite number"),
        ({"method": "magic"}, "no method 'magic'"), ({"method": 3}, "method is 3; it takes text"),
    ],
)  # fmt: skip
def test_directions_whose_parts_disagree_are_refused(
    tmp_path: Path, edit: dict[str, object], reason: str
) -> None:
    fitted("means").save(tmp_path)
    file = tmp_path / "attributes.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | edit))
    with pytest.raises(InputError, match=rf"attributes\.json: damaged \({reason}\); fit the"):
        Directions.load(tmp_path, "one", SIZE)


def test_directions_of_another_size_or_of_nonsense_are_refused(tmp_path: Path) -> None:
    fitted("means").save(tmp_path)
    with pytest.raises(InputError, match=r"attributes\.safetensors: damaged \(.*size mismatch"):
        Directions.load(tmp_path, "one", SIZE + 1)
    file = tmp_path / "attributes.safetensors"
    save_file({name: weight * math.nan for name, weight in load_file(file).items()}, file)
    with pytest.raises(InputError, match=r"damaged \(a weight is not finite\)"):
        Directions.load(tmp_path, "one", SIZE)
