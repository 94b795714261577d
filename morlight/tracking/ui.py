"""MLflow's pages on the tracking store, served from this machine."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import IO
from urllib.parse import urlparse

from morlight.tracking.experiment_view import link_to_newest_experiment
from morlight.tracking.runs import close_abandoned_runs
from morlight.tracking.sqlite_store import artifact_root, database_file
from morlight.tracking.store import connect, tracking_uri


def serve(host: str = "127.0.0.1", port: int = 5000) -> None:
    """Serve MLflow's pages on the tracking store until Ctrl-C (or SIGTERM).

    Prints a link to the runs of the most recent experiment, with their errors and options as columns.

    Raises:
        KeyboardInterrupt: at Ctrl-C or SIGTERM, after the server has ended.
        ValueError: if the address is in use or not one of this machine, if the store is a server with its own pages,
            or if the server ended by itself.
    """
    uri = tracking_uri()
    if urlparse(uri).scheme.startswith("http"):
        raise ValueError(f"{uri}: the tracking server shows its own pages; open this address in a browser")
    _require_free(host, port)
    client = connect(uri)
    close_abandoned_runs(client)
    page = link_to_newest_experiment(client)
    with tempfile.TemporaryFile() as output:
        server = _start(uri, host, port, output)
        # a shell's background jobs start with Ctrl-C ignored; a handler of the command line stays
        unhandled = [number for number in (signal.SIGINT, signal.SIGTERM) if not callable(signal.getsignal(number))]
        before = [signal.signal(number, signal.default_int_handler) for number in unhandled]
        try:
            if _answers(server, host, port):
                print(f"MLflow on {uri}: http://{host}:{port}{'/' if page else ''}{page} (end with Ctrl-C)", flush=True)
            status = server.wait()
            output.seek(0)
            last = output.read().decode(errors="replace").strip().rpartition("\n")[2]
            raise ValueError(f"the MLflow server ended by itself with status {status}: {last}")
        finally:
            _stop(server)
            for number, handler in zip(unhandled, before, strict=True):
                signal.signal(number, handler)


def _start(uri: str, host: str, port: int, output: IO[bytes]) -> "subprocess.Popen[bytes]":
    environment = os.environ | {
        "MLFLOW_BACKEND_STORE_URI": uri,  # not an argument: a URI may hold a password
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    if file := database_file(uri):
        environment["MLFLOW_DEFAULT_ARTIFACT_ROOT"] = artifact_root(file)
    command = f"-m mlflow server --host {host} --port {port} --workers 1 --uvicorn-opts".split()
    # a session of its own: the terminal's Ctrl-C reaches the server once, passed on from here
    return subprocess.Popen(
        [sys.executable, *command, "--log-level warning"],
        env=environment,
        stdout=output,
        stderr=output,
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
    """Wait until the server accepts connections; False if it ended instead."""
    while server.poll() is None:
        try:
            socket.create_connection((host, port), timeout=1).close()
            return True
        except OSError:
            time.sleep(0.1)
    return False


def _stop(server: "subprocess.Popen[bytes]") -> None:
    """End the server and the workers that it started, by SIGINT and, if necessary, by SIGKILL."""
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGINT)
    try:
        server.wait(timeout=5)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
