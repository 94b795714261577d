"""`python -m benchmarks.page [NEW.jsonl …]`: docs/benchmarks.md and its figures from docs/benchmarks.jsonl.

New lines take the place of all older ones of the same benchmark.
"""

import json
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from experiments.support import tables
from morlight.analysis import plots

DOCS = Path(__file__).parents[1] / "docs"
FIGURES = DOCS / "figures"
KEPT = DOCS / "benchmarks.jsonl"
Lines = list[dict[str, Any]]
Column = tuple[str, Callable[[dict[str, Any]], str]]
HEAD = """\
`python -m benchmarks.page` makes this page from [benchmarks.jsonl](benchmarks.jsonl), which contains the lines that
`python -m benchmarks NAME` prints. A section says so if its numbers were copied from an earlier page. Each ratio was
measured in one run on one machine; seconds differ on other machines. Benchmarks with one thread report CPU time, those
with two threads wall time. `step`, `fit`, `data`, `engine`, `load`, `gpu` and the fit to 4.1 GB were measured with
version 0.2, the others with version 0.1. The tests check that every fast path equals the plain one to rounding."""
ORIGINAL = {"A": (116, 0.96), "B": (3.9, 0.043), "C": (3.7, None)}  # TensorFlow, ms at m = 1, and an FFT pair then
LABELS = {
    "R": "realizations R",
    "N": "points N on a line",
    "plane": "points N per side, N × N",
    "cube": "points N per side, N × N × N",
    "batch": "fields per batch",
    "M": "horizon M",
    "K": "terms K",
    "windows": "windows",
}


def number(value: float) -> str:
    """Three digits, and all before the point."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:#.3g}".rstrip(".")


def table(lines: Lines, columns: Sequence[Column]) -> str:
    """Markdown, a row for each line."""
    return tables.table([title for title, _ in columns], [[cell(line) for _, cell in columns] for line in lines])


def key(name: str, missing: str = "–") -> Callable[[dict[str, Any]], str]:
    """A cell: a word as it is, a number with three digits, whole numbers as they are."""

    def cell(line: dict[str, Any]) -> str:
        value = line.get(name)
        if value is None:
            return missing
        return number(value) if isinstance(value, float) else str(value)

    return cell


def share(name: str) -> Callable[[dict[str, Any]], str]:
    """A cell in percent."""
    return lambda line: f"{100 * line[name]:.1f} %"


def step(lines: Lines) -> str:
    """Steps: one row for a case, a number of realizations and a horizon, double and single precision side by side."""
    rows = []
    for line in (line for line in lines if line["precision"] == 64):
        same = ("case", "realizations", "horizon")
        single = [other for other in lines if other["precision"] == 32 and all(other[k] == line[k] for k in same)]
        more = {"pairs_a_step": line["fft_pairs"] / line["horizon"]}
        for other in single:
            more |= {"single": other["value"], "over_single": line["value"] / other["value"]}
        rows.append(line | more)
    columns = [
        ("case", key("case")),
        ("R", key("realizations")),
        ("m", key("horizon")),
        ("ms, float64", key("value")),
        ("FFT pairs", key("fft_pairs")),
        ("FFT pairs per composed step", key("pairs_a_step")),
        ("speed-up over plain eager", key("speedup")),
        ("ms, float32", key("single")),
        ("float32 over float64", key("over_single")),
    ]
    return f"{table(rows, columns)}\n\n{against_original(rows)}"


def against_original(rows: Lines) -> str:
    """The targets: what the original needs, in FFT pairs of its own measurement."""
    said = []
    for line in rows:
        milliseconds, pair = ORIGINAL[line["case"]]
        chosen = line["horizon"] == 1 and line["realizations"] == (1 if line["case"] == "A" else 20)
        if not chosen:
            continue
        pairs = "" if pair is None else f" or {number(milliseconds / pair)} of its FFT pairs"
        mine = f"morlight needs {number(line['value'])} ms or {number(line['fft_pairs'])} FFT pairs"
        mine += "" if pair is None else f", {number(milliseconds / pair / line['fft_pairs'])} times fewer"
        single = f" In float32, the default of fits, it needs {number(line['single'])} ms." if "single" in line else ""
        of = f"{line['case']}, R = {line['realizations']}, m = 1"
        said.append(f"- {of}: the original needs {milliseconds} ms{pairs}; {mine}.{single}")
    return "\n".join(said)


def scaling(lines: Lines) -> str:
    """The exponents, below the figure."""
    return "![Time and memory over size, log-log](figures/benchmarks_scaling.png)\n\n" + growth(lines)


def growth(lines: Lines) -> str:
    """A row for each number that is varied: exponent of the time, and time and memory at the largest size."""
    listed = []
    for line in (line for line in lines if line["unit"] == "exponent"):
        points = [other for other in lines if other["case"] == line["case"] and "size" in other]
        last = points[-1]
        sizes = f"{points[0]['size']} … {last['size']}"
        more = {"sizes": sizes, "ms": last["value"], "mebibytes": last.get("mebibytes")}
        listed.append(line | more | {"case": LABELS[line["case"]]})
    columns = [
        ("number varied", key("case")),
        ("sizes", key("sizes")),
        ("exponent of the time", key("value")),
        ("size at which the time has doubled", key("doubled", "none")),
        ("ms at the largest", key("ms")),
        ("MiB at the largest", key("mebibytes")),
    ]
    return table(listed, columns)


def gpu(lines: Lines) -> str:
    """Steps, roll-outs, growth and fits on a GPU, one table each."""
    parts = {name: [line for line in lines if line["part"] == name] for name in ("steps", "rollouts", "growth", "fits")}
    size = [CASE, ("R", key("realizations"))]
    steps = [
        *size,
        ("precision", key("precision")),
        ("ms per step, as one graph", key("value")),
        ("kernel by kernel", key("eager")),
        ("speed-up", key("over_eager")),
        ("on the CPU", key("processor")),
        ("speed-up", key("over_processor")),
    ]
    rollouts = [CASE, ("states", key("states")), ("steps/s", key("value")), ("speed-up", key("over_plain"))]
    fits = [*size, ("s per fit", key("value"))]
    tables = table(parts["steps"], steps), table(parts["rollouts"], rollouts), growth(parts["growth"])
    return "\n\n".join([f"Card: {lines[0]['card']}.", *tables, table(parts["fits"], fits)])


def figure(lines: Lines, path: Path) -> None:
    """Time and memory over each of the sizes, log-log."""
    names = list(dict.fromkeys(line["case"] for line in lines))
    exponents = {line["case"]: line["value"] for line in lines if line["unit"] == "exponent"}
    drawn = Figure(figsize=(13, 5.6), layout="constrained")
    for axes, name in zip(drawn.subplots(2, len(names) // 2).flat, names, strict=True):
        points = [line for line in lines if line["case"] == name and "size" in line]
        sizes = [line["size"] for line in points]
        axes.loglog(sizes, [line["value"] for line in points], "o-", color=plots.LEARNED)
        axes.set(xlabel=LABELS[name], title=f"exponent {exponents[name]:.2f}")
        axes.set(ylabel="ms per epoch of batches" if name == "windows" else "ms per step (solid)")
        if "mebibytes" in points[0]:
            memory = axes.twinx()
            memory.tick_params(which="minor", labelright=False)
            memory.loglog(sizes, [line["mebibytes"] for line in points], "s--", color="gray", markersize=3)
            memory.set(ylabel="MiB per step (dashed)")
        axes.set_xticks(sizes, [f"{size:g}" for size in sizes], rotation=45)
        axes.tick_params(which="minor", labelbottom=False, labelleft=False)
    plots.save(drawn, path)


CASE = ("", key("case"))
VALUE: Sequence[Column] = (CASE, ("", key("value")), ("", key("unit")))
SECTIONS: dict[str, tuple[str, Callable[[Lines], str], str]] = {
    "step": (
        "Training steps",
        step,
        "Forward and backward pass and Adam, in milliseconds per step and realization, with batches of 100"
        " fields. A: heat in the plane,"
        " 64 × 64 points, isotropic, width and depth 8. B: a line of 256 points. C: density and momentum of a"
        " Lennard-Jones channel, 20 points, K = 2, one parameter. An *FFT pair* is a forward and an inverse FFT of the"
        " fields of one realization, measured in the same run. *Plain eager* is `benchmarks/plain.py` with one"
        " realization; the fast paths agree with it to rounding. Steps of small fields, up to 2¹⁷ values of all"
        " realizations, are recorded once and replayed, bit for bit the same: B with R = 1, and C. Other work was"
        " running at the same time, which increases the times.",
    ),
    "compile": (
        "Three ways to evaluate the networks",
        lambda lines: table(
            lines,
            [
                CASE,
                ("precision", key("precision")),
                ("ms per step and realization", key("value")),
                ("speed-up over layer by layer", key("speedup")),
                ("first step, s", key("first_step")),
            ],
        ),
        "Case C with R = 20 and m = 1. *One pass*: the path of fits on a CPU, `fused.cpp`, which is compiled once for"
        " all shapes. *Layer by layer*: the path on a GPU or without a C++ compiler. *torch.compile* of roll-out"
        " and loss would compile anew for each horizon and batch shape; it is not used.",
    ),
    "fit": (
        "Whole fits",
        lambda lines: table(
            lines,
            [
                CASE,
                ("R", key("realizations")),
                ("precision", key("precision")),
                ("s", key("value")),
                ("framework's share", share("framework_share")),
                ("report at the end, s", key("report_seconds")),
            ],
        ),
        "Fits through Lightning, with data loading, validation, checkpoints, MLflow and the final report. The"
        " framework's share is all time outside forward pass, backward pass and optimizer. B is a fit of 320 steps, C"
        " one of 1275 steps in 100 epochs. The report at the end, half of it for its figures, takes about a second"
        " however long the fit is, so that it is a large share of these short fits. Other work was running at the same"
        " time, which increases the times.",
    ),
    "data": (
        "Data",
        lambda lines: table(
            lines,
            [CASE, ("", key("value")), ("", key("unit")), ("speed of morlight relative to it", key("ours_over_it"))],
        ),
        "A million particles are deposited into 256 cells; batches have 100 windows; the dump has 20 frames of 20 000"
        " atoms.",
    ),
    "simulate": (
        "Walkers",
        lambda lines: table(lines, [CASE, ("million walker-steps/s", key("value")), ("speed-up", key("speedup"))]),
        "The times include binning every frame and writing the file. *plain torch* is the vectorized loop that one"
        " would write, without a file.",
    ),
    "rollout": (
        "Roll-outs",
        lambda lines: table(
            lines,
            [
                CASE,
                ("", key("value")),
                ("", key("unit")),
                ("speed-up over LAMMPS", key("over_lammps")),
                ("speed of morlight relative to it", key("ours_over_it")),
                ("break-even runs", key("break_even_runs")),
                ("training, s", key("training_seconds")),
            ],
        ),
        "A model of a small Lennard-Jones channel (500 atoms, 500 steps per frame) against LAMMPS on the same core;"
        " *break-even runs*: the number of runs after which data and training have paid off. Then 200 steps of a field"
        " of 256 points, float64, against an FNO (16 modes, 32 channels, four layers, float32) and DMD (rank 40).",
    ),
    "engine": (
        "Steps of a roll-out",
        lambda lines: table(
            lines,
            [
                CASE,
                ("states", key("states")),
                ("steps/s", key("value")),
                ("speed-up over the plain loop", key("over_plain")),
            ],
        ),
        "The engine of `predict`, `evaluate`, serving and the reports of fits records a step of small fields once and"
        " replays it in fixed memory. Here it is compared with a loop over the same steps. The states are the same bit"
        " for bit, or to rounding if many are advanced in groups. Five realizations, float64, recording included;"
        " *demo*: a field of 256 points; *channel*: density and momentum at 20 points, K = 2, one parameter; *plane*:"
        " 64 × 64 points.",
    ),
    "scaling": (
        "How cost grows",
        scaling,
        "One number is varied at a time, starting from R = 4, N = 256, 100 fields per batch, M = 1, K = 1, in"
        " float32; planes and cubes: R = 1, 10 fields per batch; windows: an epoch of batches. The exponent is fitted"
        " to the larger half of the sizes. Below the size at which a step takes twice as long as at the smallest one,"
        " the time hardly depends on the size. The memory is what a step adds to that of the process.",
    ),
    "gpu": (
        "On a GPU",
        gpu,
        "All times are wall times. The steps are those of `step` with m = 1. *As one graph*: forward and backward"
        " pass are captured once as a CUDA graph, as in fits; the step of Adam is not part of the graph. *On the CPU*:"
        " the same step in float32 on all CPU cores of the machine. Roll-outs are those of `engine`. Growth is"
        " that of `scaling`, without the horizon M, whose long steps were timed before they were captured. Fits"
        " are those of `fit`, in float32; their reports are computed on the CPU. Small fields do not fill a GPU: a"
        " step takes as long as a few hundred kernels, whatever the size, until there are hundreds of realizations or"
        " thousands of points.",
    ),
    "memory": (
        "Memory",
        lambda lines: table(
            lines,
            [CASE, ("R", key("realizations")), ("peak, GiB", key("value")), ("CPU time, s", key("processor_seconds"))],
        ),
        "Largest resident memory and CPU time of a separate process, on the full Brownian set (103 MB of"
        " fields). Other work was running at the same time, which increases the times. In the fit to 4.1 GB, the"
        " imported libraries take 0.5 GiB, the two pools of windows 0.25 GiB, and samples for the noise of each mode"
        " 0.1 GiB.",
    ),
    "startup": ("Start-up", lambda lines: table(lines, VALUE), "CPU time of a fresh process."),
    "streaming": (
        "Files larger than memory",
        lambda lines: table(
            lines,
            [
                ("`--data.memory`", key("case")),
                ("s", key("value")),
                ("time relative to in memory", key("over_in_memory")),
                ("resident memory, GiB", key("resident_gib")),
            ],
        ),
        "One pass of Adam over 100 sets of flights (1.6 GB of fields), timed from the start of the command to its end.",
    ),
    "load": (
        "Many runs and trials",
        lambda lines: table(lines, [CASE, ("s", key("value")), ("CPU time, s", key("processor_seconds"))]),
        "Each command is a separate process. A trial is one epoch of a network of 16 points on four trajectories, with"
        " its report, figures and checkpoints; about half of its time is for the figures. `python -m benchmarks load"
        " postgresql://…` measures that storage as well. Other work was running at the same time, so that only the"
        " CPU time of a trial is given, the mean over 12 trials.",
    ),
    "tracking": (
        "Tracking",
        lambda lines: table(lines, [CASE, ("share of the fit", share("value")), ("fit, s", key("fit_seconds"))]),
        "The share of a fit that is spent in the methods of the tracker.",
    ),
}


def merge(new: Sequence[Path]) -> Lines:
    """All results, those of new files in the place of older ones."""
    kept = read(KEPT) if KEPT.exists() else []
    for path in new:
        lines = read(path)
        named = {line["benchmark"] for line in lines}
        kept = [line for line in kept if line["benchmark"] not in named] + lines
    order = list(SECTIONS)
    return sorted(kept, key=lambda line: order.index(line["benchmark"]))


def read(path: Path) -> Lines:
    """A JSON object a line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def page(lines: Lines, folder: Path = FIGURES) -> str:
    """Markdown of all results; figures go to a folder."""
    parts = ["# Benchmarks", HEAD]
    for name, (title, form, text) in SECTIONS.items():
        mine = [line for line in lines if line["benchmark"] == name]
        if not mine:
            continue
        machines = sorted({str(line["machine"]) for line in mine})
        parts += [f"## {title}: `python -m benchmarks {name}`", textwrap.fill(text, 120), form(mine)]
        parts += [f"Measured on: {'; '.join(machines)}."]
        if name == "scaling":
            figure(mine, folder / "benchmarks_scaling.png")
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Merge, and write the page."""
    lines = merge([Path(word) for word in sys.argv[1:]])
    KEPT.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    (DOCS / "benchmarks.md").write_text(page(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
