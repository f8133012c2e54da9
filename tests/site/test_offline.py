"""The book without a server: printed as one PDF with bookmarks, and read from a folder."""

import chromium
import pytest
from browser import BROWSERS, drive, missing
from pages import SITE


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_a_page_opened_from_a_folder_shows_its_still_form_and_leads_on():
    found = drive("offline.mjs", str(SITE / "book" / "switch-off-a-path.html"))
    assert "without skip" in found["text"] and "seed 1" in found["text"]
    assert "Where the numbers come from" in found["title"]


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_a_page_opened_from_a_folder_keeps_no_room_for_controls_that_do_not_come():
    assert drive("offline.mjs", str(SITE / "book" / "try-the-network.html"))["room"] == "0px"


@pytest.mark.skipif(not any(map(chromium.shutil.which, BROWSERS)), reason="no Chromium")
def test_a_printed_page_has_its_headings_as_bookmarks(tmp_path):
    page = tmp_path / "page.html"
    page.write_text("<!doctype html><title>T</title><h1>First heading</h1><p>a</p><h2>Second heading</h2>")
    chromium.print_page(page, tmp_path / "page.pdf")
    printed = (tmp_path / "page.pdf").read_bytes()
    assert printed.startswith(b"%PDF") and b"/Outlines" in printed
    assert b"(First heading)" in printed and b"(Second heading)" in printed


def test_without_a_browser_printing_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(chromium.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match=r"needs Chromium or Chrome.*install chromium"):
        chromium.print_page(tmp_path / "page.html", tmp_path / "page.pdf")
