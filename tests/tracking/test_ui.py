"""MLflow's pages, served and asked."""

import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from morlight.tracking.ui import serve
from tests.tracking.stores import folder, free_port, fresh_database, listens

__all__ = ["folder", "fresh_database"]  # fixtures


def test_the_pages_are_served_until_ctrl_c(folder):
    port = free_port()
    code = f"from morlight.tracking.ui import serve; serve('127.0.0.1', {port})"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        line = process.stdout.readline()
        assert line.startswith(f"MLflow on sqlite:///{folder}/mlruns/mlflow.db: http://127.0.0.1:{port} ")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as page:
            assert b"MLflow" in page.read()
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 0
    assert not listens(port)


def test_addresses_that_cannot_be_served_are_told(folder, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=f"127.0.0.1:{port} cannot be served .*in use.*; choose another --port"):
            serve("127.0.0.1", port)
    with pytest.raises(ValueError, match=r"192.0.2.1:\d+ cannot be served"):
        serve("192.0.2.1", port)  # an address of no machine (RFC 5737)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    with pytest.raises(ValueError, match="the tracking server shows its own pages"):
        serve()
