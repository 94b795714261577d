"""The page on `morlight doctor` describes the checks that there are."""

import re
from pathlib import Path

from morlight.analysis.doctor.examination import FIELD_CHECKS
from morlight.analysis.doctor.particle_file import PARTICLE_CHECKS

PAGE = Path(__file__).parents[3] / "docs" / "doctor.md"


def test_the_tables_of_the_page_are_the_checks_of_the_code():
    rows = re.findall(r"^\| ([a-z ]+) \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    checks = [(check.name, check.statistic) for check in (*FIELD_CHECKS, *PARTICLE_CHECKS)]
    assert [row for row in rows if row[1] != "reported if"][: len(checks)] == checks
