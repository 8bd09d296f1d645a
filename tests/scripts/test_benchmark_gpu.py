"""The GPU benchmark, tried out on a CPU with tiny models."""

import json
from pathlib import Path

import benchmark_gpu
import pytest
import torch
import workloads
from tiny import tiny_vae
from workloads import Workload, random_batch, training_step, workload

from seqvae.model import cuda_graph
from seqvae.model.config import ModelConfig, Steps
from seqvae.model.remedies import Objective
from seqvae.model.vae import SequenceVAE

TINY = Workload(
    model=ModelConfig(latent_dim=3, embedding_dim=4, encoder_dim=5, decoder_dim=6),
    objective=Objective(),
    steps=Steps(vocab_sizes=(7, 5), max_steps=9),
    batch_size=4,
    num_steps=9,
)
CPU = torch.device("cpu")


def tiny_model(size: str) -> SequenceVAE:
    changes = {"decoder": "hierarchical", "segment_length": 3} if size == "hier" else {}
    return tiny_vae(vocab_sizes=(7,), max_steps=9, **changes).eval()


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark_gpu, "workload", lambda preset: TINY)
    monkeypatch.setattr(benchmark_gpu, "model_of", tiny_model)
    monkeypatch.setattr(benchmark_gpu, "WARM_UPS", 1)


@pytest.mark.usefixtures("tiny")
def test_all_rows_are_made_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = tmp_path / "gpu.json"
    benchmark_gpu.main(
        ["--device", "cpu", "--presets", "text", "--batches", "1", "2", "--large", "8",
         "--budget", "0", "--results", str(results)]
    )  # fmt: skip
    rows = {row["name"]: row for row in json.loads(results.read_text(encoding="utf-8"))["rows"]}
    assert [*rows] == [
        "decode_small_b1", "decode_small_b2", "decode_hier_b1", "encode_small_b2",
        "train_text_b4", "train_text_b8",
    ]  # fmt: skip
    assert rows["decode_small_b2"]["equal_to_plain"] == 1.0
    assert rows["decode_hier_b1"]["equal_without_graphs"] == 1.0
    step = rows["train_text_b8"]
    assert step["tokens_per_s"] == pytest.approx(8 * 9 / (step["ms"] / 1000), rel=0.01)
    assert step["share_of_floor"] == pytest.approx(step["floor_ms"] / step["ms"], abs=0.01)
    assert "| `train_text_b4` |" in capsys.readouterr().out


def test_without_a_gpu_the_script_refuses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as stopped:
        benchmark_gpu.main([])
    assert stopped.value.code == 2
    assert "--device cpu" in capsys.readouterr().err


def test_graphs_are_left_out_inside_alone() -> None:
    before = cuda_graph.has_graphs
    with benchmark_gpu.without_graphs():
        assert not cuda_graph.has_graphs(torch.device("cuda"))
    assert cuda_graph.has_graphs is before


@pytest.mark.parametrize("preset", workloads.PRESETS)
def test_a_workload_is_what_the_preset_says(preset: str) -> None:
    work = workload(preset)
    ids, lengths = random_batch(work, 3, CPU)
    assert ids.shape == (3, work.num_steps, len(work.steps.vocab_sizes))
    assert (lengths == work.num_steps).all()


def test_a_step_changes_the_weights() -> None:
    model, step = training_step(TINY, 4, bf16=False, device=CPU)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    step()
    assert all(not torch.equal(before[name], w) for name, w in model.named_parameters())


def test_the_floor_runs_every_lstm_once() -> None:
    model, step = training_step(TINY, 4, bf16=True, device=CPU)
    seen: list[tuple[int, ...]] = []
    forward = torch.nn.LSTM.forward

    def counted(lstm: torch.nn.LSTM, x: torch.Tensor) -> object:
        seen.append(tuple(x.shape))
        return forward(lstm, x)

    floor = benchmark_gpu.floor_of(model, step, TINY, 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.LSTM, "forward", counted)
        floor()
    assert [shape[:2] for shape in seen] == [
        (4, 9)
    ] * 3  # the encoder in both directions, the decoder
