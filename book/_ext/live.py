"""Sphinx extension: the live parts of the pages, see `book/_static/live/live.js`."""

import json
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

# A page that is opened from a folder, or printed from one, starts no module: no room is kept for controls.
STARTS = 'if (location.protocol !== "file:") document.documentElement.dataset.starts = "";'


def write_json(path: Path, content: Any) -> None:
    """Write what a live part fetches, without a space that it does not need."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    path.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_css_file("live/live.css")
    app.add_js_file(None, body=STARTS)
    app.add_js_file("live/live.js", type="module")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
