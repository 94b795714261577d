"""Tables of the documentation, made of the code: formats, fields and unit styles.

`python -m morlight.data.particles.tables` prints them; a test compares them with docs/channels.md.
"""

from collections.abc import Iterable, Sequence

from morlight.data.particles import fields, formats, units


def of_formats() -> str:
    """Supported formats, the columns that they can contain, and what they do not state."""
    head = ("format", "contains", "must be given")
    return _table(head, ((known.name, known.holds, known.asked) for known in formats.FORMATS))


def of_refused() -> str:
    """Formats that are recognized and refused."""
    return "; ".join(name for name, _ in formats.REFUSED)


def of_fields() -> str:
    """Definition of each field, its unit in general and in two styles, and the columns that it needs."""
    rows = []
    for name, definition in fields.FIELDS.items():
        styles = [f"`{definition.unit(units.style(style))}`" for style in ("lj", "real")]
        rows.append((f"`{name}`", definition.formula, *styles, _needs(name)))
    return _table(("field", "definition", "unit in `lj`", "unit in `real`", "needs"), rows)


def _needs(name: str) -> str:
    columns = fields.velocities([name], "y")
    mass = ["mass"] if fields.needs_mass([name]) else []
    flow = " (flow along y)" if name in ("momentum", "density_temperature") else ""
    return ", ".join([*columns, *mass]) + flow if columns else "positions"


def of_units() -> str:
    """Unit styles and their constants."""
    rows = (
        (f"`{u.name}`", u.mass, u.length, u.time, u.temperature, f"{u.boltzmann:.10g}", f"{u.mvv2e:.10g}")
        for u in units.STYLES.values()
    )
    return _table(("style", "mass", "length", "time", "temperature", "k_B", "energy of m v²"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    print("\n\n".join([of_formats(), of_refused(), of_fields(), of_units()]))
