"""`python -m benchmarks.peers_page [NEW.jsonl …]`: tables of docs/peers.md from docs/peers.jsonl, and their figure.

New lines take the place of all older ones.
"""

import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.page import DOCS, FIGURES, read
from experiments.support import tables
from morlight.analysis import plots

KEPT, PAGE = DOCS / "peers.jsonl", DOCS / "peers.md"
BEGIN, END = "<!-- tables, by python -m benchmarks.peers_page -->\n", "<!-- end of tables -->"
Lines = list[dict[str, Any]]
NAMES = {
    "burgers": "Burgers (file)",
    "kdv": "KdV (file)",
    "kuramoto_sivishinky": "KS (file)",
    "Fisher-KPP": "Fisher–KPP",
    "Allen-Cahn": "Allen–Cahn",
    "Cahn-Hilliard": "Cahn–Hilliard",
    "Swift-Hohenberg": "Swift–Hohenberg",
    "Gray-Scott": "Gray–Scott",
}
COLORS = ["tab:orange", "tab:gray", "tab:blue", "tab:cyan", "tab:green", "tab:red"]


def cell(value: float) -> str:
    """A number with two digits; what diverges has none."""
    return f"{value:.2g}".replace("e-0", "e-") if math.isfinite(value) else "∞"


def coefficient(line: dict[str, Any]) -> str:
    """Largest relative error of a coefficient, or how many terms are false and missing."""
    if "value" not in line:
        return ""
    if line["false_terms"] or line["missing_terms"]:
        return f"(+{line['false_terms']} −{line['missing_terms']})"
    return cell(line["value"])


def table(lines: Lines, text: Callable[[dict[str, Any]], str]) -> str:
    """A row for each set, a column for each method, and in a cell one entry for each level of noise."""
    cells = {(line["case"], line["method"], line["noise"]): text(line) for line in lines if text(line)}
    cases, methods, noises = (list(dict.fromkeys(line[key] for line in lines)) for key in ("case", "method", "noise"))
    methods = [method for method in methods if any(method == column for _, column, _ in cells)]
    rows = [
        [
            NAMES.get(case, case),
            *(" / ".join(cells.get((case, method, noise), "–") for noise in noises) for method in methods),
        ]
        for case in cases
    ]
    return tables.table(["data set", *methods], rows)


def page(lines: Lines) -> str:
    """The tables, one below the other."""
    levels = " / ".join(f"{100 * noise:g}" for noise in dict.fromkeys(line["noise"] for line in lines))
    parts = [
        f"## Coefficients\n\nLargest relative error of a coefficient with {levels} % noise. (+f −m): the equation is"
        " wrong, with f false and m missing terms; –: not measured.",
        table(lines, coefficient),
        f"## Roll-outs\n\nRelative error at the end of the roll-out with {levels} % noise; ∞: the roll-out diverges.",
        table(lines, lambda line: cell(line["rollout_error"])),
        f"## One step\n\nError of one step over the size of the increment with {levels} % noise.",
        table(lines, lambda line: cell(line["step_error"])),
        f"## Seconds\n\nProcessor seconds of one fit with one choice of settings, for {levels} % noise.",
        table(lines, lambda line: cell(line["seconds"])),
        f"Measured on: {'; '.join(sorted({line['machine'] for line in lines}))}.",
    ]
    return "\n\n".join(parts) + "\n"


def with_tables(text: str, lines: Lines) -> str:
    """The text of the page with new tables."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{page(lines)}\n{END}{rest.split(END)[1]}"


def figure(lines: Lines, path: Path) -> None:
    """Error of the roll-out over noise, a panel for each set; open where the terms of an equation are wrong."""
    cases, methods, levels = (list(dict.fromkeys(line[key] for line in lines)) for key in ("case", "method", "noise"))
    drawn = Figure(figsize=(13, 8.5), layout="constrained")
    panels = drawn.subplots(math.ceil(len(cases) / 4), 4, sharex=True).ravel()
    for axes, case in zip(panels, cases, strict=False):
        for method, color in zip(methods, COLORS, strict=False):
            own = [line for line in lines if (line["case"], line["method"]) == (case, method)]
            _curve(axes, own, levels, color=color, label=method)
        axes.set(title=NAMES.get(case, case), yscale="log", ylim=(1e-9, 10))
    for axes in panels[len(cases) :]:
        axes.set_axis_off()
    panels[0].set_xticks(range(len(levels)), [f"{100 * noise:g} %" for noise in levels])
    drawn.supxlabel("noise")
    drawn.supylabel("relative error at the end of the roll-out")
    drawn.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(methods), frameon=False)
    plots.save(drawn, path)


def _curve(axes: Any, own: Lines, levels: Sequence[float], *, color: str, label: str) -> None:
    errors = [min(max(line["rollout_error"], 2e-9), 5.0) for line in own]
    right = [not (line.get("false_terms") or line.get("missing_terms")) for line in own]
    places = [levels.index(line["noise"]) for line in own]
    axes.plot(places, errors, "-", color=color, lw=1.2)
    axes.plot([], [], "o-", color=color, label=label)
    for place, error, full in zip(places, errors, right, strict=True):
        axes.plot(place, error, "o", color=color, mfc=color if full else "white", ms=5)


def main(new: Sequence[str]) -> None:
    """Replace the results by new ones, and write tables and figure."""
    lines = [line for path in new for line in read(Path(path))] or read(KEPT)
    methods, cases = (list(dict.fromkeys(line[key] for line in lines)) for key in ("method", "case"))
    lines.sort(key=lambda line: (cases.index(line["case"]), methods.index(line["method"]), line["noise"]))
    KEPT.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), lines), encoding="utf-8")
    figure(lines, FIGURES / "peers_noise.png")


if __name__ == "__main__":
    main(sys.argv[1:])
