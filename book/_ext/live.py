"""Sphinx extension: the live parts of the pages, see `book/_static/live/live.js`."""

from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_css_file("live/live.css")
    app.add_js_file("live/live.js", type="module")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
