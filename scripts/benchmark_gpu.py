"""How fast seqvae is on a GPU: training, encoding and decoding, and the memory they take.

    python scripts/benchmark_gpu.py

The floor of a training step is its LSTM calls and the products of its softmaxes alone, on the same
shapes and in the same precision. Decoding is compared with the same loop without CUDA graphs, and
with a call of `nn.LSTM` for each step. Weights and tokens are random. Without a GPU the script
refuses, unless `--device cpu` is given, which is for trying it out.
"""

import argparse
import json
import shlex
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from benchmarking import markdown
from speed_ours import model_of, plain_tokens
from torch import Tensor, nn
from workloads import PRESETS, Workload, training_step, workload

from seqvae.inference.provenance import provenance
from seqvae.model import cuda_graph
from seqvae.model.config import Sampling
from seqvae.model.vae import SequenceVAE

RESULTS = Path(__file__).parent / "results" / "gpu.json"
BATCHES = (1, 16, 128, 512, 4096)  # of decoding
LARGE = 1024  # sequences of a step, beside the preset's own number
WARM_UPS = 3


def median_seconds(work: Callable[[], Any], device: torch.device, budget: float) -> float:
    """The median of at least five repeats, and of as many as take `budget` seconds."""
    for _ in range(WARM_UPS):
        work()
    seconds: list[float] = []
    while len(seconds) < 5 or sum(seconds) < budget:
        wait_for(device)
        begin = time.perf_counter()
        work()
        wait_for(device)
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def wait_for(device: torch.device) -> None:
    """Let the device finish."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def peak_memory(device: torch.device) -> float:
    """GiB of the device that were in use at once since the last reset."""
    return torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else 0.0


# Training


def of_training(
    preset: str, batch_size: int, device: torch.device, budget: float
) -> dict[str, Any]:
    """A step in bf16, and how much of it its floor takes."""
    work = workload(preset)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    model, step = training_step(work, batch_size, bf16=True, device=device)
    waits = count_waits(step, device)
    seconds = median_seconds(step, device, budget)
    memory = peak_memory(device)
    floor = median_seconds(floor_of(model, step, work, batch_size), device, budget)
    return {
        "name": f"train_{preset}_b{batch_size}",
        "tokens_per_s": round(batch_size * work.num_steps / seconds),
        "ms": round(1000 * seconds, 3),
        "floor_ms": round(1000 * floor, 3),
        "share_of_floor": round(floor / seconds, 2),
        "memory_gib": round(memory, 2),
        "waits": waits,
    }


def count_waits(step: Callable[[], None], device: torch.device) -> int:
    """How often a step makes the CPU wait for the GPU."""
    if device.type == "cpu":
        return 0
    step()
    torch.cuda.set_sync_debug_mode("warn")
    with warnings_of() as seen:
        step()
    torch.cuda.set_sync_debug_mode("default")
    return len(seen)


@contextmanager
def warnings_of() -> Iterator[list[Any]]:
    """The warnings that are given inside."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        yield seen


def floor_of(
    model: SequenceVAE, step: Callable[[], None], work: Workload, batch_size: int
) -> Callable[[], None]:
    """The LSTM calls of a step and the three products of each softmax, forwards and backwards."""
    calls: list[tuple[nn.LSTM, Tensor]] = []
    hooks = [
        module.register_forward_hook(
            lambda lstm, inputs, _: calls.append((lstm, torch.empty_like(inputs[0])))
        )
        for module in model.modules()
        if isinstance(module, nn.LSTM)
    ]
    step()
    for hook in hooks:
        hook.remove()
    lstms = [(plain_lstm(lstm), x.float().normal_().requires_grad_()) for lstm, x in calls]
    num_rows = batch_size * work.num_steps
    device = next(model.parameters()).device
    heads = []
    for size, head in zip(work.steps.vocab_sizes, model.decoder.heads.logits, strict=True):
        width = head.output_weight().shape[1]  # type: ignore[operator]  # of a list
        shapes = (num_rows, width), (width, size), (num_rows, size)
        heads.append([torch.randn(s, device=device, dtype=torch.bfloat16) for s in shapes])

    def floor() -> None:
        for lstm, x in lstms:
            with torch.autocast(device.type, torch.bfloat16):
                states = lstm(x)[0]
            states.backward(states)
        for x, weight, gradient in heads:
            _ = x @ weight, gradient @ weight.t(), x.t() @ gradient

    return floor


def plain_lstm(like: nn.LSTM) -> nn.LSTM:
    """An LSTM of the same shape, without dropout of its weights."""
    lstm = nn.LSTM(
        like.input_size, like.hidden_size, like.num_layers, batch_first=like.batch_first,
        bidirectional=like.bidirectional,
    )  # fmt: skip
    return lstm.to(next(like.parameters()).device)


# Encoding and decoding


def of_encoding(batch_size: int, device: torch.device, budget: float) -> dict[str, Any]:
    """Posteriors of random sequences, in bf16."""
    model = model_of("small").to(device)
    ids = torch.randint(model.steps.vocab_sizes[0], (batch_size, model.steps.max_steps, 1))
    lengths = torch.full((batch_size,), model.steps.max_steps)
    ids, lengths = ids.to(device), lengths.to(device)

    @torch.no_grad()
    def work() -> None:
        with torch.autocast(device.type, torch.bfloat16):
            model.encode(ids, lengths)

    seconds = median_seconds(work, device, budget)
    return {"name": f"encode_small_b{batch_size}", "per_s": round(batch_size / seconds)}


@contextmanager
def without_graphs() -> Iterator[None]:
    """Decode kernel by kernel."""
    has_graphs = cuda_graph.has_graphs
    cuda_graph.has_graphs = lambda device: False
    try:
        yield
    finally:
        cuda_graph.has_graphs = has_graphs


def of_decoding(size: str, batch_size: int, device: torch.device, budget: float) -> dict[str, Any]:
    """Sequences from codes: with graphs, without, by plain calls of `nn.LSTM`, and drawn."""
    model = model_of(size).to(device)
    z = torch.randn(batch_size, model.config.latent_dim, device=device)
    seeds = range(batch_size)
    tokens = model.decode(z).ids
    seconds = {"ours": median_seconds(lambda: model.decode(z), device, budget)}
    seconds["sampled"] = median_seconds(lambda: model.decode(z, Sampling(), seeds), device, budget)
    with torch.autocast(device.type, torch.bfloat16):
        seconds["bf16"] = median_seconds(lambda: model.decode(z), device, budget)
    with without_graphs():
        eager = model.decode(z).ids
        seconds["without_graphs"] = median_seconds(lambda: model.decode(z), device, budget)
    row: dict[str, Any] = {"name": f"decode_{size}_b{batch_size}"}
    if model.decoder.segment_length is None:
        plain = partial(plain_tokens, model.decoder, z, model.steps.max_steps)
        seconds["plain"] = median_seconds(plain, device, budget)
        row["equal_to_plain"] = round((tokens[..., 0] == plain()).double().mean().item(), 5)
    row |= {f"{name}_ms": round(1000 * value, 2) for name, value in seconds.items()}
    row["equal_without_graphs"] = round((tokens == eager).double().mean().item(), 5)
    return row | {"per_s": round(batch_size / seconds["ours"])}


# All of it


def machine(device: torch.device) -> dict[str, Any]:
    """What the figures depend on."""
    if device.type == "cpu":
        return {"device": "cpu"}
    x = torch.randn(8192, 8192, device=device, dtype=torch.bfloat16)
    seconds = median_seconds(lambda: x @ x, device, 1.0)
    return {
        "device": torch.cuda.get_device_name(),
        "memory_gib": round(torch.cuda.get_device_properties(0).total_memory / 2**30, 1),
        "bf16_tflops": round(2 * 8192**3 / seconds / 1e12),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]  # of torch
    }


def rows(options: argparse.Namespace, device: torch.device) -> Iterator[dict[str, Any]]:
    """All rows, as they are made."""
    for batch_size in options.batches:
        yield of_decoding("small", batch_size, device, options.budget)
    yield of_decoding("hier", options.batches[0], device, options.budget)
    yield of_encoding(options.batches[-1], device, options.budget)
    for preset in options.presets:
        for batch_size in sorted({workload(preset).batch_size, options.large}):
            yield of_training(preset, batch_size, device, options.budget)


def table(made: dict[str, Any]) -> str:
    """The rows as Markdown: one table of training, one of decoding."""
    training = [row for row in made["rows"] if "share_of_floor" in row]
    decoding = [row for row in made["rows"] if "without_graphs_ms" in row]
    return "\n\n".join(
        [
            markdown(
                ["training step, bf16", "tokens/s", "ms", "floor / step", "memory, GiB", "waits"],
                [
                    [f"`{row['name']}`", f"{row['tokens_per_s']:,}", str(row["ms"]),
                     f"{row['share_of_floor']:.2f}", str(row["memory_gib"]), str(row["waits"])]
                    for row in training
                ],
            ),
            markdown(
                ["decoding, ms", "graphs", "drawn", "bf16", "no graphs", "`nn.LSTM`", "per second"],
                [
                    [f"`{row['name']}`",
                     *(str(row.get(f"{way}_ms", "-"))
                       for way in ("ours", "sampled", "bf16", "without_graphs", "plain")),
                     f"{row['per_s']:,}"]
                    for row in decoding
                ],
            ),
        ]
    )  # fmt: skip


def make_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--presets", nargs="*", default=PRESETS, help="those to train")
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES, help="to decode")
    parser.add_argument("--large", type=int, default=LARGE, help="a second batch size of training")
    parser.add_argument("--budget", type=float, default=1.0, help="seconds of each measurement")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of the results")
    parser.add_argument("--table", action="store_true", help="print the table of the results")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and keep the rows."""
    options = make_parser().parse_args(arguments)
    if options.table:
        print(table(json.loads(options.results.read_text(encoding="utf-8"))))
        return
    if options.device == "cuda" and not torch.cuda.is_available():
        print("benchmark_gpu.py: there is no GPU; --device cpu tries it out", file=sys.stderr)
        sys.exit(2)
    device, begin, made = torch.device(options.device), time.monotonic(), []
    facts = machine(device)
    for row in rows(options, device):
        made.append(row)
        print(json.dumps(row), flush=True)
    about = provenance(shlex.join(["python", *sys.argv]), seed=0, seconds=time.monotonic() - begin)
    results = {"machine": facts, "rows": made, **about}
    options.results.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(table(results))


if __name__ == "__main__":
    main()
