"""Sphinx extension: the live parts of the pages, see `book/_static/live/live.js`."""

from sphinx.application import Sphinx

# A page that is opened from a folder, or printed from one, starts no module: no room is kept for controls.
STARTS = 'if (location.protocol !== "file:") document.documentElement.dataset.starts = "";'


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_css_file("live/live.css")
    app.add_js_file(None, body=STARTS)
    app.add_js_file("live/live.js", type="module")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
