"""The MLflow store of runs and models: where it lies, what it holds, its checkpoints as files, its pages.

Neither Lightning nor torch is imported here, and MLflow only inside functions, so that the commands that
merely look at results start fast.
"""

import atexit
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlparse

if TYPE_CHECKING:
    import mlflow

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # MLflow would report every call to its makers
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"  # standard output belongs to --json
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"

SQLITE = "sqlite:///"
KIND = {"mlflow.experimentKind": "custom_model_development"}  # the UI then shows training, not language models
BEST_FIRST = ("checkpoints/best.ckpt", "checkpoints/last.ckpt")


class StoreAway(ValueError):
    """The tracking store does not answer."""


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI where set, else `mlruns/mlflow.db` under the working directory.

    The path is made absolute, so that it stays the same store when the working directory changes; the
    database itself is made by the first writer (`connect`).
    """
    return os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}{Path('mlruns/mlflow.db').absolute()}"


def database(uri: str) -> Path | None:
    """File of a SQLite store; None for servers and other databases."""
    path = uri.removeprefix(SQLITE)
    return Path(path) if path not in (uri, "", ":memory:") else None


def connect(uri: str | None = None, *, create: bool = True) -> "mlflow.MlflowClient":
    """Client of the store at `uri` (default: `tracking_uri()`), once the store has answered.

    Raises:
        ValueError: the server does not answer; the database cannot be opened, or is missing and `create`
            is False.
    """
    uri = uri or tracking_uri()
    file = database(uri)
    if file and not file.exists():
        if not create:
            raise ValueError(
                f"{file}: no tracking database; fit a model first, or name a server by MLFLOW_TRACKING_URI"
            )
        _create(file)
    from mlflow import MlflowClient

    try:
        with _quiet(), hasty():
            client = MlflowClient(uri, os.environ.get("MLFLOW_REGISTRY_URI") or uri)
            client.search_experiments(max_results=1)
    except Exception as error:  # MLflow's, the database's or the operating system's
        raise StoreAway(f"{uri}: the tracking store does not answer ({short(error)})") from error
    return client


def _create(file: Path) -> None:
    """A new database, complete or not there at all, however many processes ask for it at once.

    MLflow's migrations are neither atomic nor safe against a second process; so each process makes its own
    draft and the first to link it under the final name wins.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".mlflow-", dir=file.parent) as folder, _quiet():
            draft = Path(folder) / file.name
            _migrate(draft, artifacts(file))
            os.link(draft, file)
    except FileExistsError:
        if not file.is_file():
            raise ValueError(f"{file}: expected a tracking database here, found something else") from None
    except OSError as error:
        raise ValueError(f"{file}: the tracking database cannot be made ({error.strerror})") from error


def _migrate(draft: Path, artifact_root: str) -> None:
    """Make the tables, written to the disk once: a slow disk takes 5 s for the commits of the migrations."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from sqlalchemy import Engine, event

    def unsynchronised(connection: Any, _: object) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", unsynchronised)
    try:
        SqlAlchemyStore(f"{SQLITE}{draft}", artifact_root).engine.dispose()
    finally:
        event.remove(Engine, "connect", unsynchronised)
    with draft.open("rb+") as file:
        os.fsync(file.fileno())


def artifacts(file: Path) -> str:
    """Where the runs of a SQLite store keep their files: beside the database."""
    return (file.parent.absolute() / "artifacts").as_uri()


def experiment_id(client: "mlflow.MlflowClient", name: str, *, create: bool = False) -> str:
    """Id of the experiment `name`, made if it is missing and `create` is True.

    Raises:
        ValueError: no such experiment, or only a deleted one.
    """
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None and create:
        file = database(client.tracking_uri)
        try:
            where = artifacts(file) if file else None
            return client.create_experiment(name, artifact_location=where, tags=KIND)
        except MlflowException:  # another process was faster, or the server refuses
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found is None:
        known = ", ".join(sorted(e.name for e in client.search_experiments())) or "none"
        raise ValueError(f"experiment '{name}' is not in {client.tracking_uri}; there are: {known}")
    if found.lifecycle_stage == "deleted":
        raise ValueError(
            f"experiment '{name}' was deleted from {client.tracking_uri}; choose another name, "
            f"or bring it back by `mlflow experiments restore -x {found.experiment_id}`"
        )
    return found.experiment_id


def runs(experiment: str) -> list[dict[str, Any]]:
    """Every run of an experiment, the latest first: run_id, name, status, last metrics, params, tags.

    Raises:
        ValueError: no store, no server, or no such experiment.
    """
    client = connect(create=False)
    where, token, found = [experiment_id(client, experiment)], None, []
    while True:
        page = client.search_runs(where, order_by=["attributes.start_time DESC"], page_token=token)
        found += [
            {
                "run_id": run.info.run_id,
                "name": run.info.run_name,
                "status": run.info.status,
                "metrics": dict(run.data.metrics),
                "params": dict(run.data.params),
                "tags": dict(run.data.tags),
            }
            for run in page
        ]
        token = page.token
        if not token:
            return found


def resolve(checkpoint: str | Path) -> Path:
    """Local file of a checkpoint; files of a store on this machine are used where they lie.

    Args:
        checkpoint: a path; `runs:/ID` (the best checkpoint of the run, else its last); `runs:/ID/PATH`;
            `models:/NAME@ALIAS` or `models:/NAME/VERSION`.

    Raises:
        ValueError: no such file, run, model or checkpoint, or the tracking server does not answer.
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
    with told_as(f"{name}: no run '{run_id}' in {client.tracking_uri}"):
        root = client.get_run(run_id).info.artifact_uri
    wanted = (inside,) if inside else BEST_FIRST
    for path in wanted:
        with told_as(f"{name}: the files of the run cannot be listed at {root}"):
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
    with told_as(f"{name}: no such model in {client.tracking_uri}"):
        if alias:
            version = client.get_model_version_by_alias(model, alias).version
        source = client.get_model_version_download_uri(model, str(version))
    path = _fetch(client, source)
    found = [path] if path.is_file() else sorted(path.rglob("*.ckpt"))
    if not found:
        raise ValueError(f"{name}: the model holds no checkpoint (looked for *.ckpt under {source})")
    return min(found, key=lambda file: (file.stem != "best", file.stem != "last"))


def _fetch(client: "mlflow.MlflowClient", source: str) -> Path:
    """File or folder at `source`: itself where it is local, else a copy that lives as long as the process."""
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
        raise ValueError(f"{source}: the file cannot be fetched ({short(error)})") from error


def ui(host: str = "127.0.0.1", port: int = 5000) -> None:
    """Serve MLflow's pages on the tracking store until Ctrl-C (or SIGTERM).

    Raises:
        ValueError: the address is taken or not ours; the store is a server and has pages of its own; the
            server ended by itself.
    """
    uri = tracking_uri()
    if urlparse(uri).scheme.startswith("http"):
        raise ValueError(f"{uri}: the tracking server shows its own pages; open this address in a browser")
    _require_free(host, port)
    connect(uri)
    with tempfile.TemporaryFile() as words:
        server = _start(uri, host, port, words)
        # both, since a shell's background jobs start with Ctrl-C ignored
        ends = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(end, signal.default_int_handler) for end in ends]
        try:
            if _answers(server, host, port):
                print(f"MLflow on {uri}: http://{host}:{port} (end with Ctrl-C)", flush=True)
            status = server.wait()
            words.seek(0)
            last = words.read().decode(errors="replace").strip().rpartition("\n")[2]
            raise ValueError(f"the MLflow server ended by itself with status {status}: {last}")
        except KeyboardInterrupt:
            return
        finally:
            _stop(server)
            for end, handler in zip(ends, before, strict=True):
                signal.signal(end, handler)


def _start(uri: str, host: str, port: int, words: IO[bytes]) -> "subprocess.Popen[bytes]":
    surroundings = os.environ | {
        "MLFLOW_BACKEND_STORE_URI": uri,  # not an argument: a URI may hold a password
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    if file := database(uri):
        surroundings["MLFLOW_DEFAULT_ARTIFACT_ROOT"] = artifacts(file)
    command = f"-m mlflow server --host {host} --port {port} --workers 1 --uvicorn-opts".split()
    # a session of its own: the terminal's Ctrl-C reaches the server once, passed on from here
    return subprocess.Popen(
        [sys.executable, *command, "--log-level warning"],
        env=surroundings,
        stdout=words,
        stderr=words,
        start_new_session=True,
    )


def _require_free(host: str, port: int) -> None:
    if not 0 < port < 2**16:
        raise ValueError(f"port {port} does not exist, expected 1 to 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ValueError(f"{host}:{port} cannot be served ({reason}); choose another --port or --host") from None


def _answers(server: "subprocess.Popen[bytes]", host: str, port: int) -> bool:
    """Wait until the server takes connections; False if it ended instead."""
    while server.poll() is None:
        try:
            socket.create_connection((host, port), timeout=1).close()
            return True
        except OSError:
            time.sleep(0.1)
    return False


def _stop(server: "subprocess.Popen[bytes]") -> None:
    """End the server and the workers it started: asked first, then made to."""
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGINT)
    try:
        server.wait(timeout=5)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


@contextmanager
def told_as(sentence: str) -> Iterator[None]:
    """Say `sentence` in a ValueError for whatever MLflow raises inside."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise ValueError(sentence) from error


@contextmanager
def hasty(retries: int = 0, timeout: int = 10) -> Iterator[None]:
    """Requests to a server give up soon; MLflow alone would try for four minutes before it says so.

    Args:
        retries: of a request that failed.
        timeout: s without a sign of the server.
    """
    limits = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(retries), "MLFLOW_HTTP_REQUEST_TIMEOUT": str(timeout)}
    before = {key: os.environ.get(key) for key in limits}
    os.environ.update(limits)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what MLflow's opening of a database says to its developers off the terminal."""
    loggers = [logging.getLogger(name) for name in ("alembic", "mlflow.store.db.utils")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            # MLflow 3.17 under SQLAlchemy 2.1
            warnings.filterwarnings("ignore", "The ``noload`` loader strategy is deprecated", DeprecationWarning)
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def short(error: Exception) -> str:
    """First line of what an error says."""
    return str(error).partition("\n")[0][:300]
