"""Pages made when the site is built: the tour, which is the README, Section 6, and the commands, from their parser."""

import argparse
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def tour() -> str:
    """The README with its links as they are from inside docs."""
    text = (ROOT / "README.md").read_text()
    text = re.sub(r"\]\(docs/", "](", text).replace("](experiments/README.md)", "](section6.md)")
    return re.sub(r"\]\(notebooks/[^)]*\)", "](notebooks.md)", text)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """For MkDocs: links out of docs lead to pages of the site, or stay words."""
    text = markdown.replace("](../experiments/README.md)", "](section6.md)").replace("](../docs/", "](")
    return re.sub(r"\[([^\]]*)\]\(\.\./[^)]*\)", r"`\1`", text)


def commands() -> str:
    """Every command with its usage and options, from the parser itself."""
    os.environ["COLUMNS"] = "100"
    os.environ["NO_COLOR"] = "1"
    from morlight.cli.fit import TASKS
    from morlight.cli.main import parser

    lines = ["# Commands", "", "Made from the parser of `morlight`; `morlight COMMAND --help` prints the same.", ""]
    lines += ["`CHECKPOINT` is a path, `runs:/ID`, or `models:/NAME@ALIAS`.", ""]
    for task, text in TASKS.items():
        lines += [f"## morlight {task}", "", f"{text[0].upper()}{text[1:]}.", ""]
    lines += ["Their keys, from the classes that they belong to:", "", *_settings()]
    for name, command, help_text in _walk(parser()):
        lines += [f"## {name}", "", f"{help_text[:1].upper()}{help_text[1:]}.", "", "```text"]
        lines += [command.format_help().rstrip(), "```", ""]
    return "\n".join(lines)


def _walk(top: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser, str]]:
    for action in top._actions:
        if not isinstance(action, argparse._SubParsersAction):
            continue
        said = {choice.dest: choice.help or "" for choice in action._choices_actions}
        for name, command in action.choices.items():
            if not command.add_help:  # fit, validate and test, which LightningCLI parses
                continue
            inner = list(_walk(command))
            yield from inner or [(command.prog, command, said.get(name, ""))]


def _settings() -> list[str]:
    from morlight.training.options import quick_parser as settings

    lines = ["| key | default | meaning |", "|---|---|---|"]
    for action in settings()._actions:
        word = action.dest
        if word.partition(".")[0] in ("model", "data") and "." in word:
            default = "" if action.default is None else f"`{action.default!r}`"
            meaning = " ".join(str(action.help).split()).replace("|", "\\|")
            lines.append(f"| `{word}` | {default} | {meaning} |")
    return [*lines, ""]


def on_files(files: Any, config: Any) -> Any:
    """For MkDocs: add the pages."""
    from mkdocs.structure.files import File

    studies = ROOT / "experiments"
    pages = {"index.md": tour(), "commands.md": commands(), "section6.md": (studies / "README.md").read_text()}
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files
