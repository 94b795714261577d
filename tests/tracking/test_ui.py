"""MLflow's pages, served and asked."""

import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import pytest

from morlight.tracking.experiments import experiment_id
from morlight.tracking.store import connect
from morlight.tracking.ui import serve
from tests.tracking.stores import folder, free_port, fresh_database, listens
from tests.tracking.test_leaderboard import log_run, log_sweep

__all__ = ["folder", "fresh_database"]  # fixtures


def test_the_pages_are_served_until_ctrl_c(folder):
    port = free_port()
    command = [sys.executable, "-m", "morlight", "ui", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()
        assert line.startswith(f"MLflow on sqlite:///{folder}/mlruns/mlflow.db: http://127.0.0.1:{port} ")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=300) as page:
            assert b"MLflow" in page.read()
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=300) == ("", "morlight: ui interrupted; the same command starts again\n")
    assert process.returncode == 130
    assert not listens(port)


@pytest.fixture
def browser():
    """A Chromium without a window."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs a Chromium to look at the pages")
    return [program, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=2400,900"]


@contextmanager
def pages(port):
    """The pages as a process of their own; the address that it prints."""
    code = f"from morlight.tracking.ui import serve; serve('127.0.0.1', {port})"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().partition(": ")[2].split()[0]
        finally:
            process.send_signal(signal.SIGINT)


def looked_at(browser, link, *, until, profile):
    """The page once it shows these texts: on a busy machine Chromium's virtual clock does not wait for the server."""
    command = [*browser, f"--user-data-dir={profile}", "--virtual-time-budget=60000", "--dump-dom", link]
    shown, end = "", time.monotonic() + 300
    while not all(text in shown for text in until) and time.monotonic() < end:
        shown = subprocess.run(command, capture_output=True, text=True, timeout=3000).stdout
    return shown


def test_the_link_opens_the_newest_experiment_with_errors_references_and_options(folder, browser):
    client = connect()
    old = client.create_run(experiment_id(client, "old", create=True), start_time=1)
    client.log_metric(old.info.run_id, "eq35/median", 1.0)
    tags = log_sweep("search", space=("model.width",))
    for width, error in (("4", 0.25), ("8", 0.125), ("6", 0.1875)):
        metrics = {"objective": error, "linear/rollout_end": 0.5, "noise_ceiling/rollout_end": 0.0625, "epoch": 1.0}
        log_run(f"width {width}", metrics, tags=tags, params={"model.width": width, "model.depth": "2"})
    with pages(free_port()) as link:
        shown = looked_at(browser, link, until=("`objective`", "`model.width`", "width 4"), profile=folder / "browser")
    columns = set(re.findall(r'col-id="(?:metrics|params)\.`([^`]*)`"', shown))
    assert columns == {"objective", "linear/rollout_end", "noise_ceiling/rollout_end", "model.width"}
    assert "eq35" not in shown
    assert re.findall(r"width [864]", shown) == ["width 8", "width 6", "width 4"]  # by the objective


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
