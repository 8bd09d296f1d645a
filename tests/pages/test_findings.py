"""Figures in sentences: each says what its numbers say, and warns where a model is of no use."""

import pytest

from seqvae.pages.findings import findings, hears_taps, quality, warnings
from seqvae.tokenizers.groove import GrooveTokenizer

FIGURES = {
    "kl": 34.66, "active_units": 12, "latent_dim": 32, "onset_f1": 0.979, "mi_aggregate": 5.0,
    "mi_aggregate_ceiling": 6.0, "accuracy_free_running": 0.93, "accuracy_constant": 0.5,
    "scale_share": (0.925, 0.974), "self_similarity": (0.48, 0.9), "copied": (0.021, 0.04),
}  # fmt: skip


def test_every_figure_that_a_reader_asks_for_is_told() -> None:
    assert findings(FIGURES, "music") == [
        "Play it music that it has never heard, and 9 of 10 notes come back.",
        "The code of a window of music holds 50 bits, in 12 of 32 dimensions.",
        "Of the notes of its samples, 92% keep to one scale (real music: 97%).",
        "A bar of its samples is 48% like the one before (real music: 90%).",
        "Of the bars of its samples, 2% stand in the training data as they are "
        "(real music that it does not know: 4%).",
    ]
    assert findings({}, "music") == []
    assert findings({"kl": 34.66}, "text") == ["The code of a line holds 50 bits."]


@pytest.mark.parametrize(
    ("figures", "modality", "told"),
    [
        ({"accuracy_free_running": 0.99}, "music", "9 of 10 steps come back"),
        ({"accuracy_free_running": 0.5}, "text", "never read, and 5 of 10 pieces come back."),
        (
            {"accuracy_free_running": 0.5, "exact_match": 0.126},
            "text",
            "5 of 10 pieces come back; 13% of such lines come back whole.",
        ),
        ({"onset_f1": 1.0, "accuracy_free_running": 0.5}, "music", "10 of 10 notes come back"),
    ],
)
def test_what_comes_back_is_told_in_tenths(
    figures: dict[str, float], modality: str, told: str
) -> None:
    assert told in quality(figures, modality)


def test_taps_say_when_and_not_what() -> None:
    told = quality(FIGURES | {"onset_f1": 0.54}, "music", of_taps=True)
    assert told == "From taps alone, it finds 5 of 10 hits of drummers it has never heard."
    assert findings(FIGURES, "music", of_taps=True)[0].startswith("From taps alone")
    assert warnings(FIGURES | {"accuracy_free_running": 0.4}, of_taps=True) == []
    assert hears_taps(GrooveTokenizer(encoder_sees="tapping"))
    assert not hears_taps(GrooveTokenizer(encoder_sees="hits"))


def test_a_model_of_no_use_is_warned_of() -> None:
    assert warnings(FIGURES) == []
    assert warnings({}) == []
    for collapsed in ({"mi_aggregate": 0.4}, {"active_units": 0}):
        (warning,) = warnings(FIGURES | collapsed)
        assert "Codes say next to nothing" in warning
    assert warnings(FIGURES | {"mi_aggregate": 0.4, "mi_aggregate_ceiling": 0.7}) == []
    (warning,) = warnings(FIGURES | {"accuracy_free_running": 0.5})
    assert "no better than the same answer every time" in warning
