"""How much is enough: what a training on little data says."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_runs import corpus_of, tiny_config

from seqvae.tokenizers import make_tokenizer
from seqvae.training import enough
from seqvae.training.enough import base_for, warn_of_few


@pytest.mark.parametrize(
    ("settings", "base"),
    [
        ({"kind": "drums", "hop_bars": 2}, "drums_2bar"),
        ({"kind": "groove"}, "groove_2bar"),
        ({"kind": "melody"}, "melody_2bar"),
        ({"kind": "drums", "num_bars": 4}, None),
        ({"kind": "groove", "encoder_sees": "hits"}, "humanize_2bar"),
        ({"kind": "groove", "encoder_sees": "tapping"}, "tap_2bar"),
        ({"kind": "groove", "encoder_sees": "tapping", "num_bars": 4}, None),
        ({"kind": "words", "max_steps": 9}, None),
    ],
)
def test_the_base_reads_what_the_data_are(settings: dict[str, object], base: str | None) -> None:
    assert base_for(make_tokenizer(settings)) == base


def test_few_sequences_are_said_to_be_few_and_what_to_do(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(tmp_path)
    corpus = corpus_of(config)
    warn_of_few(config, corpus)
    assert caplog.messages[-1].startswith("37 sentences to train on are few; fresh weights learn")
    assert caplog.messages[-1].endswith("or begin from a model of more data: --init_from")
    monkeypatch.setattr(enough, "base_for", lambda tokenizer: "tales")
    warn_of_few(config, corpus)
    assert f"seqvae personal tales {config.data.source} --name mine" in caplog.messages[-1]
    caplog.clear()
    caplog.set_level(logging.WARNING)
    begun = replace(config, trainer=replace(config.trainer, init_from="tales"))
    warn_of_few(begun, corpus)
    monkeypatch.setattr(enough, "ENOUGH", 37)
    warn_of_few(config, corpus)
    assert not caplog.messages
