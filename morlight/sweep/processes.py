"""The other processes of a fit on several devices: each runs `morlight fit` with the configuration of the trial."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from morlight.training.callbacks.pruning import WATCHED
from morlight.training.settings import FitSettings


@contextmanager
def other_processes(settings: FitSettings, *, watched: bool) -> Iterator[None]:
    """Start the other processes of a fit, this one being the first; leave no trace of them.

    Args:
        settings: of the fit.
        watched: whether a pruner may end it early.
    """
    world = device_count(settings)
    if world == 1 or "LOCAL_RANK" in os.environ:  # one process, or torchrun has started them all
        yield
        return
    before = dict(os.environ)
    os.environ.update(
        MASTER_ADDR="127.0.0.1", MASTER_PORT=str(_free_port()), WORLD_SIZE=str(world), NODE_RANK="0", LOCAL_RANK="0"
    )
    os.environ.update({WATCHED: "1"} if watched else {})
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trial.yaml"
        file.write_text(settings.to_yaml(), encoding="utf-8")
        command = [sys.executable, "-m", "morlight", "fit", "--config", str(file)]
        if settings.ckpt_path is not None:
            command += ["--ckpt_path", settings.ckpt_path]
        others = [subprocess.Popen(command, env=os.environ | {"LOCAL_RANK": str(r)}) for r in range(1, world)]
        try:
            yield
        finally:
            for process in others:
                try:
                    process.wait(timeout=30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            os.environ.clear()
            os.environ.update(before)
            if torch.distributed.is_available() and torch.distributed.is_initialized():
                torch.distributed.destroy_process_group()


def device_count(settings: FitSettings) -> int:
    """Number of processes that a fit asks for on this machine."""
    devices = settings.trainer["devices"]
    if isinstance(devices, list):
        return len(devices)
    if str(devices).isdigit():
        return int(devices)
    return max(1, torch.cuda.device_count()) if settings.trainer["accelerator"] in ("auto", "gpu", "cuda") else 1


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
