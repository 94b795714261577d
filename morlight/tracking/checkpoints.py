"""Checkpoints by the names that MLflow gives them (a run, a registered model), or by a path."""

import atexit
import re
import shutil
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlparse

from morlight.tracking.mlflow_calls import first_line, refused_as
from morlight.tracking.store import connect

if TYPE_CHECKING:
    import mlflow

BEST_FIRST = ("checkpoints/best.ckpt", "checkpoints/last.ckpt")


def resolve(checkpoint: str | Path) -> Path:
    """Local file of a checkpoint; files of a store on this machine are used without a copy.

    Args:
        checkpoint: a path; `runs:/ID` (the best checkpoint of the run, else its last); `runs:/ID/PATH`;
            `models:/NAME@ALIAS` or `models:/NAME/VERSION`.

    Raises:
        ValueError: if there is no such file, run, model or checkpoint, or the tracking server does not answer.
    """
    name = str(checkpoint)
    if name.startswith("runs:"):
        return _of_run(name)
    if name.startswith("models:"):
        return _of_model(name)
    path = Path(checkpoint)
    if not path.is_file():
        raise ValueError(
            f"{path}: not a file; expected a checkpoint as a path, runs:/ID, models:/NAME@ALIAS or models:/NAME/VERSION"
        )
    return path


def _of_run(name: str) -> Path:
    match = re.fullmatch(r"runs:/(\w+)(?:/(.+))?", name)
    if match is None:
        raise ValueError(f"{name}: expected runs:/ID or runs:/ID/PATH, with the run's id")
    run_id, inside = match.groups()
    client = connect(create=False)
    with refused_as(f"{name}: no run '{run_id}' in {client.tracking_uri}"):
        root = client.get_run(run_id).info.artifact_uri
    wanted = (inside,) if inside else BEST_FIRST
    for path in wanted:
        with refused_as(f"{name}: the files of the run cannot be listed at {root}"):
            folder = str(PurePosixPath(path).parent)
            there = client.list_artifacts(run_id, None if folder == "." else folder)
        if any(file.path == path and not file.is_dir for file in there):
            return _fetch(client, f"{root}/{path}")
    raise ValueError(f"{name}: the run holds no {' and no '.join(wanted)} (looked under {root})")


def _of_model(name: str) -> Path:
    match = re.fullmatch(r"models:/([^/@]+)(?:@([^/@]+)|/(\d+))", name)
    if match is None:
        raise ValueError(f"{name}: expected models:/NAME@ALIAS or models:/NAME/VERSION, VERSION a number")
    model, alias, version = match.groups()
    client = connect(create=False)
    with refused_as(f"{name}: no such model in {client.tracking_uri}"):
        if alias:
            version = client.get_model_version_by_alias(model, alias).version
        source = client.get_model_version_download_uri(model, str(version))
    path = _fetch(client, source)
    candidates = [path] if path.is_file() else sorted(path.rglob("*.ckpt"))
    if not candidates:
        raise ValueError(f"{name}: the model holds no checkpoint (looked for *.ckpt under {source})")
    return min(candidates, key=lambda file: (file.stem != "best", file.stem != "last"))


def _fetch(client: "mlflow.MlflowClient", source: str) -> Path:
    """File or folder at `source`: itself if it is local, otherwise a copy that exists as long as the process."""
    from mlflow.artifacts import download_artifacts

    if source.startswith("runs:/"):
        run_id, _, inside = source.removeprefix("runs:/").partition("/")
        source = f"{client.get_run(run_id).info.artifact_uri}/{inside}"
    copy = None
    if urlparse(source).scheme not in ("", "file"):
        copy = tempfile.mkdtemp(prefix="morlight-")
        atexit.register(shutil.rmtree, copy, ignore_errors=True)
    try:
        return Path(download_artifacts(source, dst_path=copy, tracking_uri=client.tracking_uri))
    except Exception as error:  # each kind of storage has errors of its own
        raise ValueError(f"{source}: the file cannot be fetched ({first_line(error)})") from error
