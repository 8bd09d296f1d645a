"""Lightning as the engine: its trainer for our settings, and the processes that it starts or finds.

Started by torchrun or SLURM, every process runs the same command. Otherwise Lightning starts those
of this node, with that command, as soon as it is known to be right.
"""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

from lightning import Trainer
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher

from seqvae.errors import InputError
from seqvae.model.ranks import is_main
from seqvae.training.config import Config
from seqvae.training.hardware import use_bf16


def make_trainer(config: Config, run: Path, *callbacks: Callback, on_gpu: bool) -> Trainer:
    """The trainer of a run.

    Raises:
        InputError: there are not as many devices, or other processes than the settings say.
    """
    settings = config.trainer
    several = settings.devices * settings.num_nodes > 1 or settings.strategy == "ddp"
    half = use_bf16(settings.precision, on_gpu=on_gpu)
    with _our_words():
        trainer = Trainer(
            accelerator="gpu" if on_gpu else "cpu",
            devices=settings.devices,
            num_nodes=settings.num_nodes,
            # Our buffers are the same on all ranks, because they are made of sums over all.
            strategy=DDPStrategy(broadcast_buffers=False) if several else "auto",
            precision="bf16-mixed" if half else "32-true",
            max_epochs=-1,  # the module tells when to stop
            accumulate_grad_batches=settings.accumulate,
            reload_dataloaders_every_n_epochs=1,
            num_sanity_val_steps=0,
            inference_mode=False,  # its tensors could not be kept beside the weights
            use_distributed_sampler=False,
            logger=_loggers(config, run),
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[*callbacks],
            plugins=[_environment(several=several)],
        )
    # It would send every signal from rank 0 at every step, and wait for the GPU to read it.
    trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]
    return trainer


def join(trainer: Trainer) -> None:
    """Bring the processes of a training together; alone, there is nothing to do.

    Raises:
        InputError: there are others than the settings say.
    """
    strategy = trainer.strategy
    if not isinstance(strategy, DDPStrategy):
        return
    with _our_words():
        launcher = strategy.launcher
        if isinstance(launcher, _SubprocessScriptLauncher):
            launcher.launch(lambda: None)
            launcher.procs.clear()  # or Lightning kills this process, wordless, if one of them ends
        strategy.setup_environment()
    if not is_main():
        logging.getLogger("seqvae").setLevel(logging.ERROR)


def _environment(*, several: bool) -> ClusterEnvironment:
    """Who starts the processes; one that is alone looks for no others, also under SLURM."""
    if several and TorchElasticEnvironment.detect():
        return TorchElasticEnvironment()
    if several and SLURMEnvironment.detect():
        return SLURMEnvironment(auto_requeue=False)  # which would take signals
    return LightningEnvironment()


def _loggers(config: Config, run: Path) -> list[Logger]:
    """The loggers that are asked for, which write into the run."""
    kinds: dict[str, Logger] = {}
    if "tensorboard" in config.trainer.loggers:
        kinds["tensorboard"] = TensorBoardLogger(run, name="tensorboard", version="")
    if "wandb" in config.trainer.loggers:
        kinds["wandb"] = WandbLogger(name=config.name, project="seqvae", save_dir=run)
    return [*kinds.values()]


@contextlib.contextmanager
def _our_words() -> Iterator[None]:
    """Say what Lightning refuses in one line."""
    try:
        yield
    except (ValueError, RuntimeError, MisconfigurationException) as error:
        raise InputError(f"trainer.devices, trainer.num_nodes: {error}") from error


@contextlib.contextmanager
def quiet_lightning() -> Iterator[None]:
    """Suppress advice that does not apply."""
    logs = [logging.getLogger(f"lightning.{part}") for part in ("pytorch", "fabric")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        for message in (
            ".*does not have many workers",  # on purpose: a batch costs less than a millisecond
            ".*number of training batches",  # small corpora are welcome
            ".*treespec, LeafSpec.* is deprecated",  # from inside Lightning, with torch 2.13
            "`broadcast_buffers` is deprecated",  # before torch 2.13 it had no other name
            "RNN module weights are not part of single contiguous chunk",  # dropped ones, on a GPU
        ):
            warnings.filterwarnings("ignore", message)
        try:
            yield
        finally:
            for log, level in zip(logs, levels, strict=True):
                log.setLevel(level)
