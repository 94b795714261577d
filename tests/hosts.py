"""Hosts made of network namespaces on one machine, joined by a switch whose links can be cut; for root on Linux."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

NETWORK = "10.77.0"


def ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")


class Host:
    """A host with an address, a folder and processes of its own, whose numbers no other host sees."""

    def __init__(self, switch: str, number: int, folder: Path) -> None:
        self.switch, self.name, self.port = switch, f"{switch}-{number}", f"port{number}"
        self.address, self.folder = f"{NETWORK}.{number}", folder
        self.processes: list[subprocess.Popen] = []
        folder.mkdir(parents=True)
        ip("netns", "add", self.name)
        ip("link", "add", self.port, "netns", switch, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        ip("-n", switch, "link", "set", self.port, "master", "bridge", "up")
        ip("-n", self.name, "address", "add", f"{self.address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            ip("-n", self.name, "link", "set", device, "up")

    def start(self, command: Sequence[str], **surroundings: str) -> subprocess.Popen:
        """A process of this host, its output in the file `log`."""
        own = ["ip", "netns", "exec", self.name, "unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen([*own, *map(str, command)], cwd=self.folder, env=os.environ | surroundings,
                                       stdout=log, stderr=log, start_new_session=True)  # fmt: skip
        self.processes.append(process)
        return process

    def said(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def link(self, state: str) -> None:
        """Pull the cable (down) or plug it in (up)."""
        ip("-n", self.switch, "link", "set", self.port, state)

    def die(self) -> None:
        """As by a power cut: nobody hears of it."""
        self.link("down")
        self.stop()

    def stop(self) -> None:
        for process in self.processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def made(folder: Path, count: int) -> Iterator[list[Host]]:
    """Hosts with the addresses 10.77.0.1, 10.77.0.2, …"""
    if os.name != "posix" or os.geteuid() or not (shutil.which("ip") and shutil.which("unshare")):
        pytest.skip("network namespaces need root, iproute2 and unshare")
    switch, hosts = f"morlight{os.getpid()}", list[Host]()
    try:
        try:
            ip("netns", "add", switch)
            ip("-n", switch, "link", "add", "bridge", "type", "bridge")
            ip("-n", switch, "link", "set", "bridge", "up")
            for number in range(1, count + 1):
                hosts.append(Host(switch, number, folder / f"host{number}"))
        except OSError as error:
            pytest.skip(f"network namespaces cannot be made here ({error})")
        yield hosts
    finally:
        for host in hosts:
            host.stop()
        for name in (*(host.name for host in hosts), switch):
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


def until(condition, *hosts: Host, patience: float = 200.0) -> None:
    """Wait for a condition, as long as all processes of the hosts run."""
    end = time.monotonic() + patience
    while not condition():
        said = "\n".join(host.said() for host in hosts)
        assert not any(process.poll() for host in hosts for process in host.processes), said
        assert time.monotonic() < end, said
        time.sleep(0.1)
