"""Short fits through the command line's own entry, in the present folder."""

from pathlib import Path

import torch

from morlight.cli import main as cli

SHORT = """
model:
  biases: [conservation, reflection]
  realizations: 2
  width: 3
  depth: 3
  horizons: [1, 2, 4]
data:
  batch: 20
trainer:
  max_epochs: 3
  accelerator: cpu
  enable_progress_bar: false
"""


def fit(data, *more, config="short.yaml"):
    """`morlight fit` on a file with the configuration `short.yaml`, or another one."""
    cli.main(["fit", "--config", str(config), "--data.path", str(data), *more])


def checkpoints(folder, name="short"):
    """The last checkpoints of the fits of a name, the newest at the end."""
    return sorted(Path(folder).glob(f"mlruns/fits/{name}/*/last.ckpt"), key=lambda path: path.stat().st_mtime)


def weights(path):
    """Weights in a checkpoint."""
    return torch.load(path, weights_only=True)["state_dict"]
