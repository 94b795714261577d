"""The pages in docs: what they name is there."""

import dataclasses
import os
import pkgutil
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import morlight
from morlight import operators
from morlight.data.config import DataConfig
from morlight.training.config import ModelConfig

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "paper_to_code.md").read_text()
WORDS = {"explicit", "implicit", "inspect"}  # of configurations and commands
NAMES = sorted(set(re.findall(r"`([A-Za-z_.]+)`", PAGE)) - WORDS)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_on_the_page_from_paper_to_code_exists(name):
    group, _, key = name.partition(".")
    if group in ("model", "data"):
        assert key in {each.name for each in dataclasses.fields({"model": ModelConfig, "data": DataConfig}[group])}
        return
    *owner, last = (name if name.startswith(("morlight", "experiments")) else f"morlight.operators.{name}").split(".")
    there = pkgutil.resolve_name(".".join(owner))
    try:
        pkgutil.resolve_name(".".join([*owner, last]))
    except AttributeError:
        assert last in there.__annotations__


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`(configs/\S+?)`", PAGE))))
def test_every_configuration_on_the_page_is_there(path):
    assert (ROOT / path).is_file()


@pytest.mark.parametrize("page", ["../README.md", *sorted(path.name for path in (ROOT / "docs").glob("*.md"))])
def test_links_and_figures_of_a_page_are_there(page):
    path = ROOT / "docs" / page
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text()):
        assert target.startswith("http") or path.parent.joinpath(target).exists(), target


def test_every_command_of_the_parser_is_in_the_reference():
    hooks = runpy.run_path(str(ROOT / "docs" / "hooks.py"))
    page = hooks["commands"]()
    for words in (
        "predict",
        "export",
        "inspect",
        "deposit",
        "simulate lj",
        "simulate brownian",
        "ui",
        "fit",
        "sweep",
        "data",
    ):
        assert f"## morlight {words}\n" in page
    assert "--realizations WHICH" in page
    assert "| `model.horizons` | `[1, 4, 16]` | numbers m of steps, one for each stage" in hooks["settings"]()


DOCUMENTED = re.findall(r"^::: (\S+)", "\n".join(page.read_text() for page in ROOT.glob("docs/api/*.md")), re.MULTILINE)
PUBLIC = [("morlight", name) for name in morlight.__all__] + [("morlight.operators", n) for n in operators.__all__]


@pytest.mark.parametrize(("package", "name"), PUBLIC)
def test_every_public_name_is_in_the_reference(package, name):
    home = getattr(pkgutil.resolve_name(package), name).__module__
    assert {f"{package}.{name}", home} & set(DOCUMENTED)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_entry_of_the_reference_exists(name):
    assert pkgutil.resolve_name(name)


@pytest.mark.slow
def test_the_site_builds_without_a_broken_link(tmp_path):
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path / "site")]
    done = subprocess.run(
        words, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    )
    assert done.returncode == 0, done.stderr
    assert "morlight predict" in (tmp_path / "site" / "commands" / "index.html").read_text()
    assert "learns continuum models" in (tmp_path / "site" / "index.html").read_text()
    pages = [page.read_text() for page in (tmp_path / "site").rglob("*.html")]
    loaded = re.compile(r'<(?:script|link|img)[^>]*(?:src|href)="https?:')
    assert not any(loaded.search(page) for page in pages)  # the site needs nothing from elsewhere
    assert "MathJax" in (tmp_path / "site" / "mathjax.js").read_text()


def test_page_of_benchmarks_is_made_from_the_measurements_beside_it(tmp_path):
    from benchmarks import page

    lines = page.read(page.KEPT)
    assert page.page(lines, tmp_path) == (ROOT / "docs" / "benchmarks.md").read_text()
    assert (tmp_path / "benchmarks_scaling.png").exists()


def test_tables_on_the_peers_are_made_from_the_measurements_beside_them():
    from benchmarks import peers_page

    text = peers_page.PAGE.read_text()
    assert peers_page.with_tables(text, peers_page.read(peers_page.KEPT)) == text


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, morlight; print(sorted(set(sys.modules) & {'torch', 'numpy', 'mlflow', 'pytorch_lightning'}))"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == "[]"


def test_every_row_of_settings_for_own_data_is_accepted_by_a_fit():
    from morlight.training.settings import from_mapping

    page = (Path(__file__).parents[1] / "docs" / "own_data.md").read_text()
    rows = [line.split("|")[2] for line in page.splitlines() if line.startswith("| ") and "`model." in line]
    settings = [
        yaml.safe_load("{" + ", ".join(re.findall(r"`((?:model|data|trainer)\.[^`]*: [^`]*)`", row)) + "}")
        for row in rows
    ]
    assert len(settings) > 4
    for each in settings:
        assert each
        typed = from_mapping(each, None, "mine.h5").to_flat()
        assert all(typed[key] == value for key, value in each.items())
