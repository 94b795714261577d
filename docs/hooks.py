"""Pages made when the site is built: the README, the notebooks, Section 6, the commands and the settings.

MathJax, one file of the package django-static-mathjax, becomes a part of the site.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))
import tutorials  # noqa: E402 - lies beside this file


def tour() -> str:
    """The README with its links as they are from inside docs."""
    text = (ROOT / "README.md").read_text()
    text = re.sub(r"\]\(docs/", "](", text).replace("](experiments/README.md)", "](section6.md)")
    text = re.sub(r"\[[^\]]*\]\((CONTRIBUTING\.md|CITATION\.cff)\)", r"`\1`", text)  # which are not pages
    return re.sub(r"\]\(notebooks/[^)]*\)", "](notebooks.md)", text)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """For MkDocs: links out of docs lead to pages of the site, or stay words."""
    text = markdown.replace("](../experiments/README.md)", "](section6.md)").replace("](../docs/", "](")
    return re.sub(r"\[([^\]]*)\]\(\.\./[^)]*\)", r"`\1`", text)


def on_page_content(html: str, **_: Any) -> str:
    """For MkDocs: dotted names may break behind a dot, names of options do not break."""
    dotted = re.compile(r"<code>((?:morlight|experiments)\.[\w.]+)</code>")
    html = dotted.sub(lambda name: f'<code class="dotted">{name[1].replace(".", ".<wbr>")}</code>', html)
    option = re.compile(r"(?<![\w-])--?[a-zA-Z][\w.-]*")
    inline = re.compile(r"(?<!<pre>)<code>([^<\n]*)</code>")
    html = inline.sub(lambda code: f"<code>{option.sub(_unbroken, code[1])}</code>", html)

    def block(code: re.Match[str]) -> str:
        parts = re.split(r"(<[^>]*>)", code[0])  # words, and between them the tags of colors
        parts[::2] = [option.sub(_unbroken, words) for words in parts[::2]]
        return "".join(parts)

    return re.sub(r"<pre>.*?</pre>", block, html, flags=re.DOTALL)


def _unbroken(option: re.Match[str]) -> str:
    return f'<span class="option">{option[0]}</span>'


def commands() -> str:
    """Every command with its usage and options, from the parser itself."""
    os.environ["NO_COLOR"] = "1"
    from morlight.cli.fit import TASKS
    from morlight.cli.main import parser

    lines = ["# Commands", "", "Made from the parser of `morlight`; `morlight COMMAND --help` prints the same.", ""]
    lines += ["`CHECKPOINT` is a path, `runs:/ID`, or `models:/NAME@ALIAS`.", ""]
    for task, text in TASKS.items():
        lines += [f"## morlight {task}", "", f"{text[0].upper()}{text[1:]}.", ""]
    lines += ["Their keys are on the page [Settings of a fit](settings.md).", ""]
    for name, command, help_text in _walk(parser()):
        lines += [f"## {name}", "", f"{help_text[:1].upper()}{help_text[1:]}.", "", *_options(command)]
    return "\n".join(lines)


def _options(command: argparse.ArgumentParser) -> list[str]:
    """Arguments and options of a command as a table."""
    formatter = command._get_formatter()
    lines = ["| argument or option | meaning |", "|---|---|"]
    for action in command._actions:
        if not isinstance(action, argparse._HelpAction):
            words, meaning = formatter._format_action_invocation(action), formatter._expand_help(action)
            required = " (required)" if action.required and action.option_strings else ""
            lines.append(f"| `{words}`{required} | {_cell(meaning)} |")
    return [*lines, ""]


def _cell(text: str) -> str:
    """Text in a cell of a table, without the defaults that say nothing."""
    plain = " ".join(text.split()).replace("|", "\\|").replace("*", "\\*")
    return plain.removesuffix(" (default: None)").removesuffix(" (default: False)")


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


def settings() -> str:
    """Every setting of a fit with its default and meaning."""
    from morlight.training.options import quick_parser

    lines = [
        "# Settings of a fit",
        "",
        "Keys of a configuration file, options of `morlight fit`, and keys of `morlight.fit(data, {KEY: VALUE})`. Those"
        " of Lightning's trainer, such as `trainer.max_epochs`, are printed by `morlight fit --trainer.help`.",
        "",
        "| key | default | meaning |",
        "|---|---|---|",
    ]
    for action in quick_parser()._actions:
        word = action.dest
        if word.partition(".")[0] in ("model", "data") and "." in word:
            default = action.default if isinstance(action.default, str) else json.dumps(action.default)
            shown = "" if action.default is None else f"`{default}`"
            lines.append(f"| `{word}` | {shown} | {_cell(str(action.help))} |")
    return "\n".join([*lines, ""])


def on_files(site: Any, config: Any) -> Any:
    """For MkDocs: add the pages."""
    from mkdocs.structure.files import File

    studies = ROOT / "experiments"
    section6 = (studies / "README.md").read_text()
    pages = {"index.md": tour(), "commands.md": commands(), "settings.md": settings(), "section6.md": section6}
    for name, content in {**pages, **tutorials.pages()}.items():
        site.append(File.generated(config, name, content=content))
    mathjax = files("mathjax") / "static" / "mathjax" / "es5" / "tex-svg.js"
    site.append(File.generated(config, "mathjax.js", content=mathjax.read_bytes()))
    return site
