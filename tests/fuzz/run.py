"""Spoiled inputs given to commands, in processes with limits: `python -m tests.fuzz.run --count 2500 --seed 0`.

A command may take an input that is still whole (a bit of a number that changed); else it refuses it: exit status 2, or
1 where a computation failed, one sentence that names the file, no file left behind, in 2 s of the processor and 1 GB.
"""

import argparse
import collections
import contextlib
import io
import json
import multiprocessing
import os
import re
import resource
import shlex
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz import changes, inputs

SECONDS, MEMORY = 2.0, 2**30
BATCH = 50  # cases of one process
OPTION = "options"  # a kind without a file: odd words behind the options of a command
OPTIONS = [
    "predict model.ckpt --initial heat.h5 --steps 2 --every 1 --frame 0 --trajectory 0 --realizations 0 -o out.h5",
    "predict model.ckpt --initial heat.h5 --steps 2 --points 16 -o out.h5 --plot out.png",
    "evaluate model.ckpt --data heat.h5 --only a=1",
    "inspect model.ckpt --plot out.png --data heat.h5",
    "convert u.npy -o out.h5 --dt 0.1 --length 1 --boundaries wall --every 1 --dims trajectory,time,x --scalar a=1,2",
    "deposit a.dump -o out.h5 --bins 4 --timestep 0.1 --units lj --axis x --average 1 --fields density",
    "simulate brownian -o out.h5 --sets 1 --walkers 10 --steps 2 --bins 4 --seed 0 --dt 0.1",
    "simulate levy -o out.h5 --sets 1 --walkers 10 --steps 2 --bins 4 --alpha 1.5 --anisotropy 0 --drift 0 0",
    "simulate burgers -o out.h5 --samples 2 --points 32 --band 2 --seed 0",
    "fit --config q.yaml --model.width 3 --data.batch 10 --trainer.max_epochs 1 --model.horizons [1] --name n",
    "compare morlight --by loss",
    "data heat.h5",
]
ODD_WORDS = [
    "",
    "nan",
    "-1",
    "0",
    "9" * 20,
    "1e309",
    "1000000000",
    "x",
    "a" * 300,
    "../up",
    "[1",
    "{a: b}",
    "é",
    "0.5",
    "-0",
    "{}",
]


@dataclass(frozen=True)
class Outcome:
    """What became of a case; `wrong` is empty where it was refused, or taken, as it should be."""

    case: int
    kind: str
    command: str
    change: str
    status: int
    said: str
    seconds: float
    wrong: str


class OutOfTime(BaseException):
    """No exception that a command could take for its own."""


def run(seed: int, cases: list[int], whole: Path) -> Iterator[Outcome]:
    """The cases with these numbers, each in a folder of its own, in this process."""

    def end(*_: object) -> None:
        raise OutOfTime

    signal.signal(signal.SIGPROF, end)
    _limit_memory()
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place):
        for case in cases:
            yield _one(seed, case, whole, Path(place))


def _limit_memory() -> None:
    used = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (used + MEMORY, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def _one(seed: int, case: int, whole: Path, place: Path) -> Outcome:
    rng = np.random.default_rng([seed, case])
    kinds = [*inputs.KINDS, OPTION]
    kind = kinds[case % len(kinds)]
    inputs.copied(whole, place)
    if kind == OPTION:
        command, change = _odd_option(rng)
        named = [change.split()[0].lstrip("-"), *shlex.split(change)[1:]]
    else:
        one = inputs.KINDS[kind]
        others = [place / other.file for other in inputs.KINDS.values()]
        change = changes.spoil(kind, place / one.file, rng, others)
        command = one.commands[rng.integers(len(one.commands))].format(one.file)
        named = [one.file]
        if one.file.endswith(".yaml"):  # a key or a value of it tells the place as well
            words = re.findall(r"\w+", (place / one.file).read_text(errors="replace") + f" {change}")
            named += [word if len(word) > 2 else f"morlight: {word}: " for word in words]
    before = _files(place)
    status, said, seconds = told(command)
    left = _files(place) - before - set(shlex.split(command) if status == 0 else ())
    return Outcome(case, kind, command, change, status, said, seconds, _wrong(status, said, seconds, left, named))


def _files(place: Path) -> set[str]:
    return {str(path.relative_to(place)) for path in place.rglob("*") if "mlruns" not in path.parts}


def _odd_option(rng: np.random.Generator) -> tuple[str, str]:
    words = OPTIONS[rng.integers(len(OPTIONS))].split()
    places = [i for i, word in enumerate(words) if i and words[i - 1].startswith("-")]
    place = places[rng.integers(len(places))] if places else len(words) - 1
    word = ODD_WORDS[rng.integers(len(ODD_WORDS))]
    words[place] = word
    return shlex.join(words), f"{words[place - 1]} {word[:30]!r}"


def told(command: str) -> tuple[int, str, float]:
    """Exit status, standard error, and seconds of the processor; −1 for what is no exit at all."""
    began = _processor()
    with (
        contextlib.redirect_stderr(io.StringIO()) as said,
        contextlib.redirect_stdout(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        signal.setitimer(signal.ITIMER_PROF, 5 * SECONDS)
        try:
            _called(shlex.split(command))
            status = 0
        except SystemExit as ended:
            status = int(ended.code or 0)
        except BaseException as error:  # each of them is a finding
            status = -1
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    return status, said.getvalue(), _processor() - began


def _processor() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _called(words: list[str]) -> None:
    """The command; a fit and a sweep only until the first step, since a whole one may well be asked for."""
    from morlight.cli import main as cli
    from morlight.cli.endings import exit_status

    if words[0] == "fit":
        from morlight.training import fit
        from morlight.training.quiet import quiet
        from morlight.training.settings import from_arguments

        with exit_status("fit"), quiet():
            settings = from_arguments(words[1:])
            served, module = fit.built(settings)
            fit.check_lengths(module, served, settings)
            fit.lightning_trainer(settings, fit.Extensions(), False)
    elif words[0] == "sweep":
        from morlight.sweep import run as sweep
        from morlight.sweep.plan import Plan

        with exit_status("sweep"):
            sweep.check(Plan.read(words[2]))
    else:
        cli.main(words)


def _wrong(status: int, said: str, seconds: float, left: set[str], named: list[str]) -> str:
    lines = [line for line in said.splitlines() if not line.startswith("morlight: warning: ")]
    if "OutOfTime" in said and "steps" in named:  # so many were asked for
        return ""
    if status == -1:
        return "no exit"
    if seconds > SECONDS + 1:
        return "too slow"
    if left:
        return f"files left: {', '.join(sorted(left))}"
    if status == 0:
        return ""
    if status not in (1, 2):
        return f"status {status}"
    if len(lines) != 1 or not lines[0].startswith("morlight: "):
        return "not one sentence"
    return "" if any(word in lines[0] for word in [*named, "needs more memory"]) else "no name"


def main(count: int, seed: int, first: int = 0) -> list[Outcome]:
    """All cases, in processes that are replaced when they die."""
    outcomes: list[Outcome] = []
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        inputs.write(Path(folder))
        left = list(range(first, first + count))
        import morlight.training.fit  # noqa: F401 - once, not in every process

        while left:
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=_child, args=(seed, left[:BATCH], Path(folder), sender))
            process.start()
            sender.close()
            done = 0
            with contextlib.suppress(EOFError):
                while True:
                    outcomes.append(Outcome(**receiver.recv()))
                    done += 1
            process.join()
            if done < len(left[:BATCH]):
                kind = [*inputs.KINDS, OPTION][left[done] % (len(inputs.KINDS) + 1)]
                outcomes.append(Outcome(left[done], kind, "", "", process.exitcode or 0, "", 0, "the process died"))
                done += 1
            left = left[done:]
    return outcomes


def _child(seed: int, cases: list[int], whole: Path, sender: Any) -> None:
    for outcome in run(seed, cases, whole):
        sender.send(asdict(outcome))


def _report(outcomes: list[Outcome]) -> int:
    for outcome in outcomes:
        if outcome.wrong:
            print(json.dumps(asdict(outcome), ensure_ascii=False))
    refused = sum(outcome.status in (1, 2) and not outcome.wrong for outcome in outcomes)
    taken = sum(outcome.status == 0 and not outcome.wrong for outcome in outcomes)
    wrong = collections.Counter(outcome.wrong.partition(":")[0] for outcome in outcomes if outcome.wrong)
    total = sum(wrong.values())
    print(f"{len(outcomes)} inputs: {refused} refused in one sentence, {taken} taken, {total} wrong {dict(wrong)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2500)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    sys.exit(_report(main(given.count, given.seed, given.first)))
