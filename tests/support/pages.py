"""The built pages of the site."""

from pathlib import Path

SITE = Path(__file__).parents[2] / "_build" / "html"
PAGES = sorted(path for path in SITE.rglob("*.html") if "_static" not in path.parts)
