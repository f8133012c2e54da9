"""The built pages in a browser: light and dark, wide and narrow, all can be read and used (WCAG A and AA)."""

from functools import cache

import pytest
from browser import drive, missing
from pages import PAGES, SITE

# The first page of the folder only leads on, to `book/intro.html`.
PATHS = [str(path.relative_to(SITE)) for path in PAGES if path != SITE / "index.html"]

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))


@cache
def audit():
    """What `site/audit.mjs` found: {path: {"noise": [...], (theme, width): {...}}}."""
    return {
        page["path"]: page | {(view["theme"], view["width"]): view for view in page["views"]}
        for page in drive("audit.mjs", *PATHS)
    }


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", PATHS)
def test_page_can_be_used_by_all(path, theme, width):
    view = audit()[path][theme, width]
    assert view["shown"] == theme
    assert view["violations"] == []
    assert view["distorted"] == []
    assert view["excess"] <= 0, f"{view['excess']} pixels to scroll sideways: {view['widest']}"


@pytest.mark.parametrize("path", PATHS)
def test_the_letters_of_charts_can_be_read_on_a_phone(path):
    assert audit()[path]["light", 360]["small"] == []


@pytest.mark.parametrize("path", PATHS)
def test_page_loads_without_errors_and_asks_no_other_host(path):
    assert audit()[path]["noise"] == []
