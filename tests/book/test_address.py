"""The addresses of repository and site: in a fork the fork's; the same in pages, links and set-up cells."""

import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import address
import nbformat
import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
CHAPTERS = sorted((REPOSITORY / "notebooks").glob("[0-9][0-9]_*.ipynb"))
OURS, BRANCH = address.configured()


@pytest.fixture
def origin(monkeypatch):
    """Set what git calls the origin; None for a copy without git or without an origin."""
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)

    def origin(url):
        monkeypatch.setattr(
            address.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=f"{url or ''}\n")
        )

    return origin


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/someone/fork",
        "https://github.com/someone/fork.git",
        "https://token@github.com/someone/fork.git",
        "git@github.com:someone/fork.git",
        "ssh://git@github.com/someone/fork",
    ],
)
def test_a_fork_is_known_from_git(url, origin):
    origin(url)
    assert address.address() == ("someone/fork", BRANCH)


@pytest.mark.parametrize("url", [None, "/home/someone/course", "https://notgithub.com/someone/fork"])
def test_elsewhere_the_configuration_has_the_address(url, origin):
    origin(url)
    assert address.address() == (OURS, BRANCH)


def test_without_git_the_configuration_has_the_address(monkeypatch):
    def run(*_, **__):
        raise FileNotFoundError("git")

    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    monkeypatch.setattr(address.subprocess, "run", run)
    assert address.address() == (OURS, BRANCH)


def test_github_itself_knows_best(origin, monkeypatch):
    origin("https://github.com/someone/fork")
    monkeypatch.setenv("GITHUB_REPOSITORY", "other/fork")
    assert address.address() == ("other/fork", BRANCH)


def test_git_is_asked_for_the_origin_of_this_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    monkeypatch.setattr(address, "REPOSITORY", tmp_path)
    (tmp_path / "_config.yml").write_text((REPOSITORY / "_config.yml").read_text(encoding="utf-8"), "utf-8")
    for words in ("init -q", "remote add origin git@github.com:someone/fork.git"):
        subprocess.run(["git", "-C", str(tmp_path), *words.split()], check=True)
    assert address.address()[0] == "someone/fork"


def test_links_and_set_up_cells_of_all_chapters_agree():
    found = set()
    for path in CHAPTERS:
        cells = {cell.id: cell.source for cell in nbformat.read(path, 4).cells}
        text = cells["title"] + cells["setup"]
        found |= set(re.findall(r"github(?:\.com)?/([\w.-]+/[\w.-]+)/(?:blob|archive)", text))
        assert text.count("github") >= 2, path.name
    assert len(found) == 1
    # Until it is written into the chapters, a fork's have the address of the course.
    assert found <= {OURS, address.address()[0]}, "run python notebooks/address.py"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_the_command_writes_what_the_chapters_have(path):
    notebook = nbformat.read(path, 4)
    address.write(notebook, path.name, OURS, BRANCH)
    assert notebook.cells == nbformat.read(path, 4).cells


def test_the_command_changes_link_and_set_up_cell_alone(tmp_path, monkeypatch):
    copy = tmp_path / CHAPTERS[0].name
    copy.write_bytes(CHAPTERS[0].read_bytes())
    (tmp_path / "set_up.py").write_bytes((REPOSITORY / "notebooks" / "set_up.py").read_bytes())
    monkeypatch.setattr(address, "FOLDER", tmp_path)
    monkeypatch.setenv("GITHUB_REPOSITORY", "someone/fork")
    address.main()
    before, after = CHAPTERS[0].read_text(encoding="utf-8"), copy.read_text(encoding="utf-8")
    assert after == before.replace(OURS, "someone/fork") != before


def build(config, source):
    """Do what Sphinx does with the extension."""
    handlers = []
    address.setup(SimpleNamespace(connect=lambda *event, priority=500: handlers.append((priority, *event))))
    for _, event, handler in sorted(handlers, key=lambda entry: entry[0]):
        handler(None, config) if event == "config-inited" else handler(None, "page", source)


def test_every_page_of_a_forks_site_has_its_address(monkeypatch):
    monkeypatch.setenv("GITHUB_REPOSITORY", "someone/fork")
    config = SimpleNamespace(
        html_theme_options={"repository_url": "before", "use_issues_button": True}, html_baseurl=""
    )
    source = [CHAPTERS[0].read_text(encoding="utf-8")]
    build(config, source)
    assert config.html_theme_options == {
        "repository_url": "https://github.com/someone/fork",
        "repository_branch": BRANCH,
        "use_issues_button": True,
    }
    assert config.html_baseurl == "https://someone.github.io/fork/"
    assert OURS not in source[0] and "/someone/fork/blob/" in source[0]


@pytest.mark.parametrize(
    ("slug", "place"),
    [
        ("someone/course", "https://someone.github.io/course/"),
        ("SomeOne/Course", "https://someone.github.io/Course/"),
        ("someone/SomeOne.github.io", "https://someone.github.io/"),
    ],
)
def test_github_serves_the_site_where_the_repository_says(slug, place):
    assert address.site(slug) == place


def test_a_site_that_lies_elsewhere_keeps_its_address(monkeypatch):
    monkeypatch.setenv("GITHUB_REPOSITORY", "someone/fork")
    config = SimpleNamespace(html_theme_options={}, html_baseurl="https://example.org/cifar/")
    build(config, [""])
    assert config.html_baseurl == "https://example.org/cifar/"


@pytest.mark.parametrize(
    ("html", "place"),
    [
        ({}, "https://someone.github.io/fork/"),
        ({"baseurl": "https://example.org/cifar"}, "https://example.org/cifar/"),
    ],
)
def test_links_from_elsewhere_lead_to_where_the_site_lies(html, place, tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_REPOSITORY", "someone/fork")
    monkeypatch.setattr(address, "REPOSITORY", tmp_path)
    repository = {"url": "https://github.com/someone/course", "branch": "main"}
    text = yaml.safe_dump({"repository": repository, "html": html})
    (tmp_path / "_config.yml").write_text(text, encoding="utf-8")
    assert address.of_site() == place


def test_the_site_uses_the_extension():
    text = (REPOSITORY / "_config.yml").read_text(encoding="utf-8")
    assert yaml.safe_load(text)["sphinx"]["local_extensions"]["address"] == "notebooks"


def test_the_address_stands_nowhere_else():
    pages = [REPOSITORY / "README.md", *sorted((REPOSITORY / "book").glob("*.md"))]
    for path in [*pages, REPOSITORY / "environment.yml", REPOSITORY / "pyproject.toml"]:
        assert OURS not in path.read_text(encoding="utf-8"), path.name
