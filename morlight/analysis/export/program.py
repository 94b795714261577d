"""One step of a checkpoint as a program that runs without morlight: ONNX, `torch.export`, or a folder for MLflow."""

import io
import json
import logging
import math
import warnings
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from morlight import __version__
from morlight.analysis import ensemble
from morlight.analysis.export import real_noise
from morlight.analysis.export.real_arithmetic import RealStep
from morlight.analysis.export.real_noise import RealNoise
from morlight.analysis.model import Model
from morlight.data.trajectory_file import digest
from morlight.data.whole_file import check_output, whole_file

LARGEST = 1024  # points along an axis: its matrices have as many columns as rows
ENDINGS = (".onnx", ".pt2")


class Step(nn.Module):
    """`RealStep` with the axes that the exported program shows: without R where there is one realization."""

    def __init__(self, step: RealStep, single: bool, noise: RealNoise | None = None) -> None:
        super().__init__()
        self.step, self.single, self.noise = step, single, noise

    def forward(self, u: Tensor, gamma: Tensor | None = None, noise: Tensor | None = None) -> Tensor:
        u = u[None] if self.single else u
        later: Tensor = self.step(u, gamma)
        if self.noise is not None and noise is not None:
            later = later + self.noise(u, noise[None] if self.single else noise, gamma)
        return later[0] if self.single else later


def export(
    model: Model,
    path: str | Path,
    *,
    precision: int = 64,
    realizations: Sequence[int] | None = None,
    fluctuations: bool = False,
    overwrite: bool = False,
) -> None:
    """Write the program of one step, in the format that the ending names.

    Its input `u` is (B, C, *X), or (R, B, C, *X) of several realizations, any B, and its output the same after one
    step Δt, or L u of an operator without time; operators with parameters have a second input `gamma` (B, P). With
    fluctuations, the last input `noise` are independent standard normal numbers of the shape of u.

    Args:
        model: the operator, on the grid that the program is to have.
        path: .onnx or .pt2 (torch.export).
        precision: 64 or 32.
        realizations: which; all where None.
        fluctuations: whether a step has noise.
        overwrite: whether an existing file is replaced.

    Raises:
        ValueError: where the program cannot be written; nothing is written then.
    """
    check_output(path, overwrite)
    path = _checked(model, Path(path), precision)
    reason = real_noise.check(model.checkpoint.fluctuations, model.grid) if fluctuations else None
    if reason is not None:
        raise ValueError(f"{model.path}: {reason}")
    if fluctuations:
        ensemble.check_grid(model)
    chosen = list(range(model.realizations)) if realizations is None else list(realizations)
    program = _step(model, chosen, torch.float64 if precision == 64 else torch.float32, fluctuations=fluctuations)
    example = _example(model, len(chosen), precision)
    example |= {"noise": torch.zeros_like(example["u"])} if fluctuations else {}
    with whole_file(path, overwrite=overwrite) as draft:
        _write(program, example, draft, about(model, chosen))


def about(model: Model, chosen: Sequence[int]) -> dict[str, str]:
    """Metadata of the program, as strings."""
    data = model.data
    return {
        "fields": json.dumps(data.field_names),
        "parameters": json.dumps(data.parameter_names),
        "points": json.dumps(model.grid.points),
        "length": json.dumps(model.grid.length),
        "boundaries": json.dumps(model.grid.boundaries),
        "dt": "" if model.steady else repr(model.dt),
        "conditions": json.dumps(asdict(data.conditions)),
        "output": "L u" if model.steady else "u + L u",
        "realizations": json.dumps(list(chosen)),
        "checkpoint": str(model.path),
        "checkpoint_digest": digest(model.path),
        "generator": f"morlight export {__version__}",
    }


def _checked(model: Model, path: Path, precision: int) -> Path:
    if path.suffix.lower() not in ENDINGS:
        raise ValueError(
            f"{path}: {path.suffix or 'no ending'} is not a format of programs, expected {' or '.join(ENDINGS)}"
        )
    if model.config.scheme != "explicit":
        raise ValueError(f"{model.path}: steps are {model.config.scheme}, expected explicit ones, u + L u")
    if max(model.grid.points) > LARGEST:
        raise ValueError(
            f"{model.path}: the grid has {list(model.grid.points)} points, expected at most {LARGEST} along an axis,"
            " where transforms are matrices; choose another grid with --points"
        )
    if path.suffix.lower() == ".onnx":
        if model.config.activation == "gelu" and precision == 64:
            raise ValueError(
                f"{model.path}: the activation is gelu, which ONNX Runtime has in single precision only; expected"
                " --precision 32, or .pt2"
            )
        try:
            import onnx  # noqa: F401
            import onnxscript  # noqa: F401
        except ImportError as error:
            raise ValueError(
                f"{path}: the package {error.name} is missing, `pip install 'morlight[export]'`"
            ) from error
    return path


def _step(model: Model, chosen: Sequence[int], dtype: torch.dtype, *, fluctuations: bool) -> Step:
    model = model.only(chosen)
    operator, known = model.operator, model.checkpoint.fluctuations if fluctuations else None
    gamma = bool(model.data.parameters)
    step = RealStep(operator, steady=model.steady, activation=model.config.activation, gamma=gamma)
    noise = None if known is None else RealNoise(known, model.grid)
    return Step(step, len(chosen) == 1, noise).to(dtype).eval()


def _example(model: Model, realizations: int, precision: int) -> dict[str, Tensor]:
    """Two states of the size of the training data; with one, torch.export would fix the batch at 1."""
    data, dtype = model.data, torch.float64 if precision == 64 else torch.float32
    shape = (2, len(data.fields), *model.grid.points)
    wave = torch.linspace(0, 2 * math.pi, math.prod(shape), dtype=dtype).sin().view(shape)
    middle = torch.tensor([field.scale for field in data.fields], dtype=dtype).view(-1, *[1] * model.grid.dimensions)
    u = middle * (1 + 0.1 * wave)
    example = {"u": u if realizations == 1 else u.expand(realizations, *shape).contiguous()}
    if data.parameters:
        gamma = torch.tensor([parameter.scale for parameter in data.parameters], dtype=dtype)
        example["gamma"] = gamma.expand(2, -1).contiguous()
    return example


def _write(program: Step, example: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    batch = torch.export.Dim("batch", min=1)
    names = ("u", "gamma", "noise")[: 3 if "noise" in example else 2]  # those of `Step.forward`
    shapes: dict[str, Any] = dict.fromkeys(names)
    shapes |= {name: {0 if name == "gamma" or program.single else 1: batch} for name in example}
    loggers = [logging.getLogger(name) for name in ("onnxscript", "onnx_ir", "torch.onnx", "torch.export")]
    levels = [logger.level for logger in loggers]
    silent = io.StringIO()
    with warnings.catch_warnings(), torch.no_grad(), redirect_stdout(silent), redirect_stderr(silent):
        warnings.simplefilter("ignore")  # of the exporter to its developers
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            arguments = tuple(example.get(name) for name in names)
            exported = torch.export.export(program, arguments, dynamic_shapes=shapes, strict=False)
            if path.suffix == ".pt2":
                whole = io.BytesIO()  # torch's own writer ends the process where the disk is full
                torch.export.save(exported, whole, extra_files={"morlight.json": json.dumps(metadata)})
                path.write_bytes(whole.getbuffer())
                return
            onnx_program: Any = torch.onnx.export(
                exported, dynamo=True, input_names=list(example), output_names=["next"]
            )
            onnx_program.model.metadata_props.update(metadata)
            onnx_program.save(str(path), external_data=False)
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
