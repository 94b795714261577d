"""`python -m benchmarks NAME`: measurements, one JSON object a line."""

import argparse
import importlib
import json

NAMES = ("simulate", "step", "tracking")


def main() -> None:
    """Run one benchmark and print what it yields."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=NAMES)
    name = parser.parse_args().name
    for result in importlib.import_module(f"benchmarks.{name}").measure():
        print(json.dumps({"benchmark": name, **result}), flush=True)


main()
