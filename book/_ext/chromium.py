"""The system's Chromium without a window: it prints pages and takes pictures of them.

python book/_ext/chromium.py PAGE.html BOOK.pdf     prints a page, with its headings as bookmarks
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

NAMES = ["chromium", "chromium-browser", "google-chrome", "chrome", "msedge"]
# Chromium's own sandbox does not run as root, as in a container; only pages of this repository are opened.
QUIET = "headless no-sandbox disable-gpu no-first-run disable-background-networking disable-component-update"


def run(*arguments, timeout=600):
    """Start it with these arguments, and wait until it ends."""
    browser = next(filter(None, map(shutil.which, NAMES)), None)
    if not browser:
        sys.exit(f"This needs Chromium or Chrome; none of {', '.join(NAMES)} was found: install chromium.")
    with tempfile.TemporaryDirectory() as profile:
        switches = [f"--{name}" for name in QUIET.split()]
        command = [browser, *switches, f"--user-data-dir={profile}", "--hide-scrollbars", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    if done.returncode:
        sys.exit(f"Chromium failed:\n{done.stderr}")


def print_page(source, target):
    """Print a page as a PDF whose bookmarks are the page's headings, once its formulas are set."""
    run(
        f"--print-to-pdf={Path(target).resolve()}",
        "--no-pdf-header-footer",
        "--generate-pdf-document-outline",
        "--virtual-time-budget=120000",
        Path(source).resolve().as_uri(),
    )


if __name__ == "__main__":
    print_page(*sys.argv[1:])
