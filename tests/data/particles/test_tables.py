"""The page of particle files holds the tables that the code makes."""

from pathlib import Path

import pytest

from morlight.data.particles import tables

PAGE = Path(__file__).parents[3] / "docs" / "channels.md"


@pytest.mark.parametrize("table", [tables.of_formats, tables.of_refused, tables.of_fields, tables.of_units])
def test_the_page_holds_the_tables_of_the_code(table):
    assert table() in PAGE.read_text(encoding="utf-8"), "python -m morlight.data.particles.tables prints the tables"
