"""The built pages in a browser: light and dark, wide and narrow, all can be read and used (WCAG A and AA)."""

import json
import shutil
import subprocess
import threading
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pages import PAGES, SITE

FOLDER = Path(__file__).parent
BROWSERS = ["chromium", "chromium-browser", "google-chrome"]
# The first page of the folder only leads on, to `book/intro.html`.
PATHS = [str(path.relative_to(SITE)) for path in PAGES if path != SITE / "index.html"]


def missing():
    """What to install before the pages can be tried, or None."""
    if not PATHS:
        return "the site is not built: make book"
    if not shutil.which("node"):
        return "no Node: apt-get install nodejs npm"
    if not any(map(shutil.which, BROWSERS)):
        return "no Chromium: apt-get install chromium"
    if not all((FOLDER / "node_modules" / name).exists() for name in ("playwright-core", "axe-core")):
        return "no axe: npm ci --prefix tests/site"
    return None


pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@cache
def audit():
    """What `site/audit.mjs` found: {path: {"noise": [...], (theme, width): {...}}}."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=SITE))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser = next(filter(None, map(shutil.which, BROWSERS)))
    address = f"http://127.0.0.1:{server.server_port}"
    command = ["node", "audit.mjs", browser, address, *PATHS]
    try:
        done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=600)
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == 0, done.stderr
    return {
        page["path"]: page | {(view["theme"], view["width"]): view for view in page["views"]}
        for page in json.loads(done.stdout)
    }


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", PATHS)
def test_page_can_be_used_by_all(path, theme, width):
    view = audit()[path][theme, width]
    assert view["shown"] == theme
    assert view["violations"] == []
    assert view["excess"] <= 0, f"{view['excess']} pixels to scroll sideways: {view['widest']}"


@pytest.mark.parametrize("path", PATHS)
def test_page_loads_without_errors_and_asks_no_other_host(path):
    assert audit()[path]["noise"] == []
