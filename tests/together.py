"""Processes that train together, as torchrun would start them: for tests on one machine."""

import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

MAX_SECONDS = 60.0  # of a test on a busy machine; a process that hangs is killed then

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["torch", "lightning.pytorch"])


@dataclass
class Outcome:
    """What became of the process of one rank."""

    code: int
    """Its exit code; that of a signal is negative."""
    said: str
    """What it wrote to stdout and stderr."""


class Together:
    """One process per rank, each of which calls the same function."""

    def __init__(self, num: int, folder: Path, act: Callable[..., Any], *arguments: Any) -> None:
        """What they say goes to the folder. The first of `arguments` is the rank."""
        folder.mkdir(parents=True, exist_ok=True)
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        self.files = [folder / f"rank{rank}.txt" for rank in range(num)]
        self.processes: list[ForkServerProcess] = []
        for rank, file in enumerate(self.files):
            place = {
                "RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": num, "LOCAL_WORLD_SIZE": num,
                "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "test",
            }  # fmt: skip
            self.processes.append(
                CONTEXT.Process(target=_run, args=(place, file, act, (rank, *arguments)))
            )
            self.processes[-1].start()

    def outcomes(self) -> list[Outcome]:
        """What became of all of them, once they have ended."""
        for process in self.processes:
            process.join(MAX_SECONDS)
            if process.is_alive():
                process.kill()
                process.join()
        codes = [process.exitcode for process in self.processes]
        return [
            Outcome(-signal.SIGKILL if code is None else code, file.read_text())
            for code, file in zip(codes, self.files, strict=True)
        ]


def _run(
    place: dict[str, Any], file: Path, act: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    """Call the function as one of several ranks."""
    import torch

    os.environ.update({name: str(value) for name, value in place.items()})
    with file.open("w", encoding="utf-8", buffering=1) as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", 1), os.fdopen(2, "w", 1)
    torch.set_num_threads(1)
    act(*arguments)
