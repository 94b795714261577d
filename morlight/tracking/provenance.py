"""Origin of a run: user, command, versions of packages, git revision."""

import getpass
import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path

from morlight.tracking.names import TAG_LENGTH

COMMAND = "MORLIGHT_COMMAND"  # what the user typed, in the environment of processes that a sweep starts


def users_command() -> str:
    """The command that the user typed."""
    return os.environ.get(COMMAND) or shlex.join(sys.orig_argv)


def provenance() -> dict[str, str]:
    """Tags of a run: the user who started it, the command, the versions and the git revision."""
    tags = {
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": sys.argv[0],
        "mlflow.user": _user(),
        "command": users_command()[:TAG_LENGTH],
        "version.python": platform.python_version(),
    }
    for package in ("morlight", "torch", "pytorch-lightning", "mlflow", "numpy"):
        tags[f"version.{package}"] = importlib.metadata.version(package)
    return tags | _revision()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid())


def _revision() -> dict[str, str]:
    """Commit of the checkout that contains the code, otherwise of the working directory; empty without either."""
    for folder in (Path(__file__).parent, Path.cwd()):
        commit = _git(folder, "rev-parse", "HEAD")
        if commit:
            dirty = bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))
            return {"mlflow.source.git.commit": commit, "mlflow.source.git.dirty": str(dirty).lower()}
    return {}


def _git(folder: Path, *command: str) -> str:
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", *command], cwd=folder, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
