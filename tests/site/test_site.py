"""The built pages: they need no other host, every image has an alt text, every local link a target."""

from urllib.parse import unquote, urlparse

import pytest
from bs4 import BeautifulSoup
from pages import PAGES, SITE

FETCHING = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}

pytestmark = pytest.mark.skipif(not PAGES, reason="the site is not built: make book")


@pytest.fixture(params=PAGES, ids=[path.stem for path in PAGES])
def page(request):
    return request.param, BeautifulSoup(request.param.read_text(), "html.parser")


def test_all_pages_of_the_table_of_contents_are_built():
    import yaml

    contents = yaml.safe_load((SITE.parent.parent / "_toc.yml").read_text())
    files = [contents["root"], *(c["file"] for part in contents["parts"] for c in part["chapters"])]
    assert [name for name in files if not (SITE / f"{name}.html").exists()] == []


def test_page_asks_no_other_host_for_anything(page):
    _, soup = page
    for tag, attribute in FETCHING.items():
        for element in soup.find_all(tag):
            target = element.get(attribute, "")
            passive = tag == "link" and "canonical" in element.get("rel", [])
            assert passive or not urlparse(target).netloc, f"{tag} {target}"
    scripts = " ".join(script.string or "" for script in soup.find_all("script"))
    assert "unpkg" not in scripts and "cdn" not in scripts.lower()


def test_a_link_to_a_page_shows_it_with_its_picture(page):
    """Sites that show links take whole addresses only; that of the picture leads to a file of this site."""
    import address

    path, soup = page
    if path.parent == SITE:
        return  # the way to the first page, and the search
    place = address.of_site()
    [canonical] = soup.find_all("link", rel="canonical")
    assert canonical["href"] == place + path.relative_to(SITE).as_posix()
    named = {tag["property"]: tag["content"] for tag in soup.find_all("meta", property=True)}
    assert named["og:url"] == canonical["href"]
    assert named["og:image"].startswith(place) and (SITE / named["og:image"].removeprefix(place)).exists()


def test_styles_ask_no_other_host_for_anything():
    for style in SITE.rglob("*.css"):
        text = style.read_text(errors="replace")
        assert "url(http" not in text and '@import url("http' not in text, style.name


def test_every_image_has_an_alt_text(page):
    _, soup = page
    for image in soup.find_all("img"):
        alt = image.get("alt", "")
        assert alt.strip() and not alt.startswith("../_images"), image.get("src")


def test_every_column_of_a_table_has_a_name(page):
    _, soup = page
    for header in soup.select("article thead th"):
        named = header.get_text(strip=True) or header.get("aria-label")
        assert named, f"an empty header cell in the table {header.find_parent('table').get_text(' ')[:80]!r}"


def test_every_local_link_has_a_target(page):
    path, soup = page
    for link in soup.find_all("a", href=True):
        parts = urlparse(link["href"])
        if parts.scheme or parts.netloc or not parts.path:
            continue
        assert (path.parent / unquote(parts.path)).exists(), link["href"]


def test_the_first_use_of_a_term_in_a_chapter_leads_to_the_glossary(page):
    path, soup = page
    if path.parent.name != "notebooks":
        return
    links = soup.select("a.glossary-term")
    assert len(links) > 4
    targets = [link["href"] for link in links]
    assert len(set(targets)) == len(targets)
    glossary = BeautifulSoup((SITE / "book" / "glossary.html").read_text(), "html.parser")
    assert [target for target in targets if not glossary.find(id=target.split("#")[1])] == []
