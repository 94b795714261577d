"""`python -m benchmarks NAME`: measurements, one JSON object a line."""

import argparse
import importlib
import json

NAMES = ("simulate", "step", "streaming", "tracking")


def main() -> None:
    """Run one benchmark and print what it yields."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("file", nargs="*", help="data to measure with, where the benchmark takes any")
    options = parser.parse_args()
    for result in importlib.import_module(f"benchmarks.{options.name}").measure(*options.file):
        print(json.dumps({"benchmark": options.name, **result}), flush=True)


main()
