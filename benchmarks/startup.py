"""Start-up: processor time of importing and of the first answer, each in a process of its own, least of five."""

import subprocess
import sys
from collections.abc import Iterator
from os import times
from typing import Any

CASES = {
    "an empty program": ["-c", ""],
    "import morlight": ["-c", "import morlight"],
    "morlight --help": ["-m", "morlight", "--help"],
    "import morlight.operators": ["-c", "import morlight.operators"],
}


def measure() -> Iterator[dict[str, Any]]:
    """What a user waits for before anything happens."""
    for case, words in CASES.items():
        taken = []
        for _ in range(5):
            before = times()
            subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
            after = times()
            taken.append(after.children_user + after.children_system - before.children_user - before.children_system)
        yield {"case": case, "value": min(taken), "unit": "s"}
