"""A sweep and a fit on several hosts, with cut links and a death: real servers, real network."""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import hosts
import numpy as np
import pytest
import small_fits
import torch
import yaml

from tests.postgres import Server
from tests.sweep.test_sweep import BASE, PLAN

pytestmark = pytest.mark.slow
TRIALS = 8
CUT = 60  # s


@pytest.fixture
def postgres():
    """A folder that another user can enter: PostgreSQL does not run as root."""
    with tempfile.TemporaryDirectory(prefix="morlight-pg-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def three(postgres, tmp_path):
    with hosts.made(tmp_path, 3) as them:
        yield them


def serve(host, folder):
    """PostgreSQL and an MLflow server, which hands the artifacts on, on one host; the URLs of both."""
    server = Server(folder)
    with (folder / "data/pg_hba.conf").open("a") as allowed:
        allowed.write(f"host all all {hosts.NETWORK}.0/24 trust\n")
    words = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", server.programs / "postgres", "-D",
             folder / "data", "-p", "5432", "-h", host.address, "-k", folder]  # fmt: skip
    host.start(words)
    hosts.until(lambda: "ready to accept connections" in host.said(), host)
    assert host.start([server.programs / "createdb", "-h", host.address, "-U", "sweeper", "mlflow"]).wait() == 0
    place = f"sweeper@{host.address}:5432"
    words = [sys.executable, "-m", "mlflow", "server", "--host", host.address, "--port", "5000", "--workers", "1",
             "--backend-store-uri", f"postgresql+psycopg://{place}/mlflow", "--allowed-hosts", "*",
             "--artifacts-destination", host.folder / "artifacts"]  # fmt: skip
    host.start(words, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false")
    hosts.until(lambda: "Application startup complete" in host.said(), host)
    return f"postgresql://{place}/postgres", f"http://{host.address}:5000"


def prepared(host, heat_file, **plan):
    base = BASE | {"data": BASE["data"] | {"path": "heat.h5"}}
    shutil.copy(heat_file, host.folder / "heat.h5")
    (host.folder / "base.yaml").write_text(yaml.safe_dump(base))
    (host.folder / "search.yaml").write_text(yaml.safe_dump(PLAN | plan))


def checkpoints(host):
    return list(host.folder.glob("mlruns/fits/*/*/last.ckpt"))


def results(host, storage, tracking):
    """States of the trials, and the runs of the sweep with their artifacts, as a process of a host sees them."""
    code = f"""
import json, optuna
from mlflow import MlflowClient
study = optuna.load_study(storage={storage!r}.replace('://', '+psycopg://'), study_name='search')
client = MlflowClient({tracking!r})
runs = client.search_runs([client.get_experiment_by_name('morlight').experiment_id])
print(json.dumps([
    [[t.state.name, t.user_attrs['slot']] for t in study.trials],
    [[r.info.status, r.data.tags.get('trial', ''), r.data.metrics.get('objective') is not None,
      [f.path for f in client.list_artifacts(r.info.run_id, 'checkpoints')]] for r in runs],
]))
"""
    own = ["ip", "netns", "exec", host.name, sys.executable, "-c", code]
    done = subprocess.run(own, capture_output=True, text=True, check=True)
    return yaml.safe_load(done.stdout.splitlines()[-1])


def test_a_sweep_over_two_hosts_survives_a_cut_link_and_the_death_of_a_host(three, postgres, heat_file):
    server, first, second = three
    storage, tracking = serve(server, postgres)
    sweep = [sys.executable, "-m", "morlight", "sweep", "--config", "search.yaml", "--trials", TRIALS, "--storage",
             storage]  # fmt: skip
    for host in (first, second):
        prepared(host, heat_file, set={"trainer.max_epochs": 40}, heartbeat=2)
        host.start(sweep, MLFLOW_TRACKING_URI=tracking)
    hosts.until(lambda: checkpoints(first) and checkpoints(second), first, second)
    first.link("down")
    time.sleep(CUT)
    first.link("up")
    second.die()
    assert first.processes[0].wait(timeout=600) == 0, first.said()
    trials, runs = results(server, storage, tracking)
    assert sorted(slot for state, slot in trials if state == "COMPLETE") == list(range(TRIALS))
    assert {state for state, _ in trials} <= {"COMPLETE", "FAIL"}
    assert [status for status, *_ in runs] == ["FINISHED"] * (TRIALS + 1)
    of_trials = [run for run in runs if run[1]]
    assert sorted(int(trial) for _, trial, *_ in of_trials) == list(range(TRIALS))
    assert all(objective for _, _, objective, _ in of_trials)
    assert all({"checkpoints/best.ckpt", "checkpoints/last.ckpt"} <= set(files) for *_, files in of_trials)


def test_a_fit_on_two_hosts_has_the_weights_of_one_process(three, tmp_path):
    _, first, second = three
    x = np.arange(12) / 12 * 2 * np.pi
    u = 1 + np.random.default_rng(0).normal(size=(4, 12, 1)) * np.cos(x)
    changes = {"model.lr": 1e-2, "data.path": "u.h5", "data.batch": 8, "trainer.max_epochs": 3}
    nested: dict = {}
    for key, value in {**small_fits.STILL, **changes}.items():
        group, name = key.split(".")
        nested.setdefault(group, {})[name] = value
    for host in (first, second):
        small_fits.write(host.folder / "u.h5", {"u": u})
        (host.folder / "q.yaml").write_text(yaml.safe_dump(nested))
    fit = ["-m", "morlight", "fit", "--config", "q.yaml"]
    assert first.start([sys.executable, *fit, "--name", "alone"]).wait(timeout=300) == 0, first.said()
    together = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc_per_node", "1",
                "--master_addr", first.address, "--master_port", "29500"]  # fmt: skip
    fit += ["--name", "together", "--trainer.num_nodes", "2", "--trainer.devices", "1"]
    both = [
        host.start([*together, "--node_rank", str(rank), *fit], GLOO_SOCKET_IFNAME="eth0")
        for rank, host in enumerate((first, second))
    ]
    assert [process.wait(timeout=300) for process in both] == [0, 0], first.said() + second.said()
    assert not checkpoints(second)
    alone, pair = (
        torch.load(next(first.folder.glob(f"mlruns/fits/{name}/*/last.ckpt")), weights_only=True)["state_dict"]
        for name in ("alone", "together")
    )
    for key, weights in alone.items():
        torch.testing.assert_close(pair[key], weights, rtol=1e-6, atol=1e-9)  # rounding, over the steps of Adam
