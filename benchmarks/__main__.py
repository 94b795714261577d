"""`python -m benchmarks NAME`: measurements, one JSON object a line (`python -m benchmarks.page`: a page of them)."""

import argparse
import importlib
import json
import os
from pathlib import Path

EQUATIONS = ("equations", "peers")  # these take sets of fields, noise and names
NAMES = (
    "attractors",
    "compile",
    "data",
    "engine",
    "equations",
    "fit",
    "gpu",
    "load",
    "memory",
    "peers",
    "rollout",
    "scaling",
    "simulate",
    "startup",
    "step",
    "stiff",
    "streaming",
    "tracking",
)


def machine() -> str:
    """Processor, how many of it, and the version of torch."""
    import torch

    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown processor")
    return f"{model}, {torch.get_num_threads()} of {os.cpu_count()} cores, torch {torch.__version__}"


def main() -> None:
    """Run one benchmark and print what it yields."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("file", nargs="*", help="data to measure with, where the benchmark takes any")
    parser.add_argument("--files", metavar="DIR", help="folder of burgers.mat, kdv.mat and kuramoto_sivishinky.mat")
    parser.add_argument("--noise", type=float, nargs="+", default=[0.0, 0.01, 0.05], help="shares of the rms")
    parser.add_argument("--only", default="", help="part of the name of the sets to measure")
    options = parser.parse_args()
    where = machine()
    arguments = (options.files, options.noise, options.only) if options.name in EQUATIONS else options.file
    for result in importlib.import_module(f"benchmarks.{options.name}").measure(*arguments):
        print(json.dumps({"benchmark": options.name, **result, "machine": where}, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
