"""The table of metrics."""

from dataclasses import fields

from seqvae.inference.evaluation import Evaluation
from seqvae.inference.options import field_docs
from seqvae.pages.metric_table import BASELINES, CEILINGS, UNITS, metric_table

EVALUATION = Evaluation(
    num_sequences=40, neg_elbo=12.0, nll=9.0, kl=3.0, active_units=2, latent_dim=4, mi_sequences=40,
    mi_aggregate=1.5, mi_aggregate_ceiling=3.7, mi_batch=1.25, mi_batch_ceiling=3.5,
    iw_nll=11.0, iw_nll_stderr=0.25, iw_samples=10, accuracy_teacher_forced=0.75,
    accuracy_free_running=0.5, accuracy_constant=0.25,
    accuracy_by_channel={"hits": 0.6, "timing of kick": 0.4},
    accuracy_constant_by_channel={"timing of kick": 0.3, "hits": 0.2},
    exact_match=0.125, overlap={"durations": (0.9, 0.95)}, scale_share=(0.9, 0.99),
)  # fmt: skip


def test_each_metric_has_its_values_its_ceiling_and_its_error() -> None:
    rows = {row["name"]: row for row in metric_table(EVALUATION)}
    assert rows["neg_elbo"]["values"] == [12.0]
    assert rows["nll"]["values"] == [9.0]
    assert rows["neg_elbo"]["ceiling"] is None
    assert [rows["active_units"][name] for name in ("values", "ceiling")] == [[2], 4]
    assert [rows["mi_aggregate"][name] for name in ("values", "ceiling")] == [[1.5], 3.7]
    assert [rows["mi_batch"][name] for name in ("values", "ceiling")] == [[1.25], 3.5]
    assert rows["iw_nll"]["stderr"] == 0.25
    assert rows["neg_elbo"]["stderr"] is None
    assert rows["scale_share"]["values"] == [0.9, 0.99]
    assert rows["overlap"]["parts"] == [{"name": "durations", "values": [0.9, 0.95]}]
    assert rows["accuracy_by_channel"]["parts"] == [
        {"name": "hits", "values": [0.6, 0.2]}, {"name": "timing of kick", "values": [0.4, 0.3]},
    ]  # fmt: skip
    assert "accuracy_constant_by_channel" not in rows


def test_what_was_not_measured_has_no_row() -> None:
    names = [row["name"] for row in metric_table(EVALUATION)]
    assert "bleu" not in names
    assert "iw_nll_stderr" not in names
    assert names == [field.name for field in fields(Evaluation) if field.name in names]


def test_units_and_definitions_are_those_of_the_metric() -> None:
    rows = {row["name"]: row for row in metric_table(EVALUATION)}
    assert rows["kl"]["unit"] == "nats per sequence"
    assert rows["mi_batch"]["unit"] == "nats"
    assert "KL(q(z|x) || p(z))" in rows["kl"]["definition"]
    assert "-log p(x|z)" in rows["nll"]["definition"]


def test_every_metric_has_a_unit_and_a_definition() -> None:
    beside = {"num_sequences", "latent_dim", "iw_samples", "iw_nll_stderr", *CEILINGS.values()}
    beside |= {"mi_sequences", "music_windows", *BASELINES.values()}
    assert UNITS.keys() == {field.name for field in fields(Evaluation)} - beside
    assert field_docs(Evaluation).keys() == {field.name for field in fields(Evaluation)}
