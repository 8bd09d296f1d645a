"""What Lightning is told."""

from pathlib import Path

import pytest
from tiny_runs import tiny_config

from seqvae.training.engine import make_trainer


@pytest.mark.parametrize(("precision", "expected"), [("bf16", "bf16-mixed"), ("fp32", "32-true")])
def test_the_trainer_computes_in_the_precision_that_is_set(
    precision: str, expected: str, tmp_path: Path
) -> None:
    config = tiny_config(tmp_path, precision=precision)
    assert make_trainer(config, tmp_path, on_gpu=False).precision == expected
