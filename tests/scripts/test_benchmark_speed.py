"""The speed benchmark: what its ratios are made of, without measuring anything."""

import sys
from pathlib import Path

import benchmark_speed
import pytest
import torch
from benchmark_speed import Comparison, Peer, compare, ptb_batches, weights_per_token
from speed_ours import plain_tokens
from tiny import tiny_vae

from seqvae.model.config import ModelConfig, Steps
from seqvae.model.vae import SequenceVAE

ECHO = """
import json, sys
for line in sys.stdin:
    job = json.loads(line)
    print(json.dumps([job["threads"] * 0.5] * job["repeats"]), flush=True)
"""


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark_speed, "others_use", lambda: 0.02)
    monkeypatch.setattr(benchmark_speed.os, "cpu_count", lambda: 2)


def comparison(ours: dict[int, float], peer: dict[int, float]) -> Comparison:
    return Comparison(
        name="row", unit="tokens/s", per_repeat=6.0,
        ours=lambda threads: [ours[threads]] * 3, peer=lambda threads: [9.0, peer[threads], 0.0],
    )  # fmt: skip


@pytest.mark.usefixtures("quiet")
def test_each_side_takes_its_better_number_of_threads() -> None:
    row = compare(comparison({1: 2.0, 2: 1.5}, {1: 3.0, 2: 4.0}))
    assert (row["threads"], row["ours"], row["peer"]) == ([2, 1], 4.0, 2.0)
    assert (row["ratio"], row["rounds"]) == (2.0, [2.0, 2.0])  # theirs / ours: above 1 is faster
    assert row["quiet"]


def test_a_row_made_beside_others_is_marked(quiet: None, monkeypatch: pytest.MonkeyPatch) -> None:
    loads = iter([0.0, 0.0, 0.0, 0.4, 0.0, 0.0, 0.0, 0.0])
    monkeypatch.setattr(benchmark_speed, "others_use", lambda: next(loads))
    row = compare(comparison({1: 1.0, 2: 1.0}, {1: 1.0, 2: 1.0}))
    assert (row["load"], row["quiet"]) == (0.4, False)
    made = {"rows": [row, row | {"name": "other", "quiet": True}]}
    busy, fine = benchmark_speed.table(made).splitlines()[2:]
    assert "busy machine" in busy
    assert "busy machine" not in fine


def test_the_plain_loop_decodes_as_the_model_does() -> None:
    model = tiny_vae(vocab_sizes=(7,), max_steps=9, decoder_layers=2, std=1.5)
    z = torch.randn(30, 3, generator=torch.Generator().manual_seed(0))
    tokens = plain_tokens(model.decoder, z, 9)
    assert len(tokens.unique(dim=0)) > 3
    assert torch.equal(model.decode(z).ids[..., 0], tokens)


def test_batches_have_the_lengths_of_the_sentences(tmp_path: Path) -> None:
    file = tmp_path / "train.txt"
    file.write_text("\n".join("w " * (1 + n % 50) for n in range(2000)), encoding="utf-8")
    batches = ptb_batches(file)
    assert len(batches) == 8
    lengths = [batch[0] for batch in batches]
    assert lengths == sorted(lengths)
    assert 2 <= lengths[0] < 8
    assert 45 < lengths[-1] <= 51  # words and the end


def test_flops_count_each_weight_that_a_token_meets() -> None:
    config = ModelConfig(
        latent_dim=3, embedding_dim=4, encoder_dim=5, decoder_dim=6, decoder_layers=2
    )
    model = SequenceVAE(config, Steps(vocab_sizes=(90,), max_steps=9))
    per_token = [
        weight
        for name, weight in model.named_parameters()
        if weight.dim() == 2 and ("layers" in name or "heads" in name)
    ]
    assert weights_per_token(config) == sum(weight.numel() for weight in per_token)


def test_a_peer_answers_in_its_own_process() -> None:
    peer = Peer([sys.executable, "-c", ECHO])
    assert peer.timed({"do": "decode"})(2)[0] == 1.0
    assert len(peer.timed({"do": "decode"})(1)) == 8  # four seconds of repeats
    peer.close()


def test_a_peer_that_ends_is_named() -> None:
    peer = Peer([sys.executable, "-c", "import sys; sys.stdin.readline()"])
    with pytest.raises(SystemExit, match=r"-c .* ended at .*decode"):
        peer.answer({"do": "decode", "threads": 1, "repeats": 1})
    peer.close()


def test_rows_of_magenta_pair_equal_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same verb, size and batch on both sides, in the precision that the name says."""
    for verb in ("decoding", "encoding", "training"):
        monkeypatch.setattr(benchmark_speed, verb, lambda *job, verb=verb: (verb, *job))

    class Asked:
        def timed(self, job: dict[str, object]) -> tuple[object, ...]:
            return tuple(job.values())

    rows = {row.name: row for row in benchmark_speed.of_magenta(Asked())}  # type: ignore[arg-type]
    for name, row in rows.items():
        verb, size, batch = name.split("_")[:3]
        assert row.peer == (verb, size, int(batch[1:])), name
        precision = (
            "bf16" if "bf16" in name or (verb != "decode" and "fp32" not in name) else "fp32"
        )
        assert row.ours[:1] + row.ours[1:] == (row.ours[0], size, int(batch[1:]), precision), name
        assert row.ours[0].startswith(verb[:5]), name
    assert rows["train_small_b512_vs_magenta"].per_repeat == 512 * 32
