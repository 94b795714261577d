"""The notebooks as pages of the site, with their outputs."""

import base64
import json
import re
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "notebooks"
IMAGES = {"image/png": "png", "image/gif": "gif"}
ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def pages() -> dict[str, str | bytes]:
    """Contents of the pages and of their figures, by file name."""
    contents: dict[str, str | bytes] = {}
    for path in sorted(FOLDER.glob("*.ipynb")):
        lines = [f"*This page is the notebook `notebooks/{path.name}`.*\n"]
        for place, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
            source = "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                lines.append(f"{source}\n")
                continue
            lines.append(f"```python\n{source}\n```\n")
            for number, output in enumerate(cell.get("outputs", [])):
                lines.append(_output(output, f"{path.stem}_{place}_{number}", contents))
        title, _, rest = lines[1].partition("\n")
        contents[f"{path.stem}.md"] = "\n".join([title, "", lines[0], rest, *lines[2:]])
    return contents


def _output(output: dict[str, Any], name: str, contents: dict[str, str | bytes]) -> str:
    """An output of a cell in Markdown; an image is added to the contents."""
    data = output.get("data", {})
    for kind, ending in IMAGES.items():
        if kind in data:
            contents[f"{name}.{ending}"] = base64.b64decode("".join(data[kind]))
            return f"![Output of the cell above]({name}.{ending})\n"
    text = "".join(output.get("text", data.get("text/plain", [])))
    plain = ESCAPES.sub("", text).rpartition("\r")[2].rstrip() if text else ""
    return f"```text\n{plain}\n```\n" if plain else ""
