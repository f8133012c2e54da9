"""What a page may cost: bytes, time until it stands, and no trap for the Tab key; Node is not needed."""

import re
from functools import cache
from pathlib import Path

import pytest
from browser import drive, missing
from pages import PAGES, SITE

CHAPTERS = [str(path.relative_to(SITE)) for path in PAGES if path.parent.name == "notebooks"]
PATHS = ["book/intro.html", *CHAPTERS]
WALKED = PATHS[:2]
REPOSITORY = Path(__file__).parents[2]
LIVE = REPOSITORY / "book" / "_static" / "live"

needs_site = pytest.mark.skipif(not PAGES, reason="the site is not built: make book")
needs_browser = pytest.mark.skipif(missing() is not None, reason=str(missing()))


@cache
def found():
    """What `site/budgets.mjs` measured, by page. Bytes are those that a server sends, compressed."""
    return drive("budgets.mjs", *PATHS)


def weight(path, *without):
    """Bytes that a page fetches before the reader does anything, some types or addresses left out."""
    files = found()[path]["files"]
    left_out = [file for file in files if file["type"] in without or any(w in file["url"] for w in without)]
    return sum(file["bytes"] for file in files if file not in left_out)


@needs_browser
@pytest.mark.parametrize("path", PATHS)
def test_a_page_weighs_at_most_a_megabyte(path):
    """Fonts aside, which are the same on every page and fetched once."""
    assert weight(path, "font") <= 1_000_000


@needs_browser
@pytest.mark.parametrize("path", PATHS)
def test_a_page_weighs_little_beside_its_figures(path):
    """MathJax aside too, which is fetched once, and only by pages with formulas."""
    assert weight(path, "font", "image", "mathjax") <= 250_000


@needs_browser
def test_a_page_without_formulas_fetches_no_mathjax():
    assert not [file for file in found()["book/intro.html"]["files"] if "mathjax" in file["url"]]


@needs_browser
@pytest.mark.parametrize("path", WALKED)
def test_a_page_fetches_no_index_of_the_site(path):
    """That is for the page of the search, see book/_templates/layout.html."""
    assert not [file for file in found()[path]["files"] if "search" in file["url"]]


@needs_site
def test_the_page_of_the_search_has_the_index():
    assert "searchindex.js" in (SITE / "search.html").read_text(encoding="utf-8")


@needs_site
def test_the_site_fits_on_a_small_stick():
    assert sum(path.stat().st_size for path in SITE.rglob("*") if path.is_file()) <= 60_000_000


@needs_browser
@pytest.mark.parametrize("path", WALKED)
def test_a_page_stands_soon_and_stays(path):
    """Loose limits, because the machine has other work too; half of them on an idle one."""
    vitals = found()[path]["vitals"]
    assert 0 < vitals["paint"] < 5_000 and vitals["blocked"] < 2_000 and vitals["shift"] < 0.1


@needs_browser
@pytest.mark.parametrize("path", WALKED)
def test_the_tab_key_leads_through_the_page_and_is_seen(path):
    page = found()[path]
    assert len(page["stops"]) > 20
    assert page["back"] is None or page["back"]["number"] == 0, "the focus is trapped, or was lost on the way"
    assert [stop for stop in page["stops"] if not (stop["seen"] and stop["inside"])] == []


@needs_site
def test_live_parts_are_served_as_they_are_written():
    """There is no step in between, so that `make book` needs no Node."""
    written = [path for path in LIVE.rglob("*") if path.is_file()]
    served = SITE / "_static" / "live"
    assert written and all(
        (served / path.relative_to(LIVE)).read_bytes() == path.read_bytes() for path in written
    )


def test_the_build_calls_no_node():
    recipe = re.search(r"^book:.*\n((?:\t.*\n)+)", (REPOSITORY / "Makefile").read_text(), re.M)[1]
    sources = [path.read_text(encoding="utf-8") for path in (REPOSITORY / "book" / "_ext").glob("*.py")]
    assert not re.search(r"\b(node|npm|npx)\b", recipe)
    assert not [source for source in sources if re.search(r"[\"'](node|npm|npx)\b", source)]
