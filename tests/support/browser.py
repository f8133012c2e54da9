"""The built site in a real browser: Chromium, driven by a script of `tests/site` in Node."""

import json
import shutil
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from pages import PAGES, SITE

SCRIPTS = Path(__file__).parents[1] / "site"
BROWSERS = ["chromium", "chromium-browser", "google-chrome"]


def missing():
    """What to install before the pages can be tried, or None."""
    if not PAGES:
        return "the site is not built: make book"
    if not shutil.which("node"):
        return "no Node: apt-get install nodejs npm"
    if not any(map(shutil.which, BROWSERS)):
        return "no Chromium: apt-get install chromium"
    if not all((SCRIPTS / "node_modules" / name).exists() for name in ("playwright-core", "axe-core")):
        return "no axe: npm ci --prefix tests/site"
    return None


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def drive(script, *arguments, timeout=600):
    """What `node SCRIPT CHROMIUM ADDRESS ARGUMENT...` prints as JSON, while the site is served at ADDRESS."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=SITE))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser = next(filter(None, map(shutil.which, BROWSERS)))
    address = f"http://127.0.0.1:{server.server_port}"
    command = ["node", script, browser, address, *arguments]
    try:
        done = subprocess.run(command, cwd=SCRIPTS, capture_output=True, text=True, timeout=timeout)
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
