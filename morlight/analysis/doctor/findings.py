"""What an examination of a file says: findings, and the rate at which it raises a false alarm."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeVar

FALSE_ALARMS = 0.05  # of a file with nothing odd in it, all checks together

Severity = Literal["odd", "refused"]
Sample = TypeVar("Sample")


@dataclass(frozen=True)
class Finding:
    """One odd thing about a file.

    Attributes:
        check: name of the check.
        severity: `refused` if `morlight fit` or `morlight deposit` refuses the file, else `odd`.
        message: one sentence, with the number that shows it.
        value: that number; None where there is none.
        expected: what it was compared with.
    """

    check: str
    severity: Severity
    message: str
    value: float | None
    expected: str


class NotApplicable(Exception):
    """The file lacks what a check needs; the message says what."""


@dataclass(frozen=True)
class Check:
    """A test with a name, a statistic and a size.

    Attributes:
        name: one word.
        statistic: what is computed and compared with what, for the table in the documentation.
        run: gives the findings, at a rate of false alarms of at most the size that it is given.
    """

    name: str
    statistic: str
    run: Callable[[Any, float], list[Finding]]


@dataclass
class Report:
    """Result of an examination.

    Attributes:
        path: file.
        kind: fields or particles.
        examined: what of the file was read.
        findings: odd things.
        passed: checks that found nothing.
        skipped: checks that do not apply, with the reason.
    """

    path: str
    kind: str
    examined: str
    findings: list[Finding] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def refused(self) -> bool:
        """Whether the file could not be read to its end."""
        return any(finding.check == "file" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        return asdict(self)

    def text(self) -> str:
        """Lines for the terminal."""
        lines = [f"{self.path}: {self.examined}"]
        lines += [f"{finding.severity}: {finding.check}: {finding.message}" for finding in self.findings]
        if not self.findings:
            lines.append("nothing odd found")
        if self.passed:
            lines.append(f"passed: {', '.join(self.passed)}")
        if self.skipped:
            lines.append("not checked: " + "; ".join(f"{name} ({reason})" for name, reason in self.skipped.items()))
        return "\n".join(lines)


def carry_out(checks: Sequence[Check], sample: object, report: Report) -> Report:
    """Run all checks, each at an equal share of the rate of false alarms (Bonferroni)."""
    for check in checks:
        try:
            findings = check.run(sample, FALSE_ALARMS / len(checks))
        except NotApplicable as reason:
            report.skipped[check.name] = str(reason)
            continue
        report.findings += findings
        if not findings:
            report.passed.append(check.name)
    return report


def several(number: int, noun: str) -> str:
    """A number and its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun[:-1] + 'ies' if noun.endswith('y') else noun + 's'}"


def listed(names: Iterable[object]) -> str:
    """Names with commas, the first few of them."""
    words = [str(name) for name in names]
    return ", ".join(words[:5]) + (f" and {len(words) - 5} more" if len(words) > 5 else "")
