"""The addresses of the repository and of its site, in the site and in the chapters.

The repository's is `$GITHUB_REPOSITORY`, or where git's `origin` lies if that is on
GitHub, and thus in a fork the fork's. Elsewhere it is that of `_config.yml`. The
site's follows from it, because GitHub Pages serves OWNER/NAME at
OWNER.github.io/NAME; `html.baseurl` in `_config.yml` overrides it. This module is a
Sphinx extension that puts both into every page of the site. As a program it writes the
repository's address into the chapters, with the set-up cell, whose text is
`notebooks/set_up.py`:

    python notebooks/address.py
"""

import os
import re
import subprocess
from pathlib import Path

import nbformat
import yaml

from cifar_lib.system.files import atomic_write

FOLDER = Path(__file__).resolve().parent
REPOSITORY = FOLDER.parent
ON_GITHUB = re.compile(r"(?:^|[/@])github\.com[:/]([\w.-]+/[\w.-]+?)(?:\.git)?/?$")
COLAB = re.compile(r"https://colab\.research\.google\.com/github/[^)\s\"]*")


def configuration():
    return yaml.safe_load((REPOSITORY / "_config.yml").read_text(encoding="utf-8"))


def configured():
    """(owner/name, branch) in `_config.yml`."""
    repository = configuration()["repository"]
    return ON_GITHUB.search(repository["url"])[1], repository["branch"]


def address():
    """(owner/name, branch) of this copy of the repository."""
    slug, branch = configured()
    return os.environ.get("GITHUB_REPOSITORY") or _origin() or slug, branch


def _origin():
    """owner/name of git's `origin` if that lies on GitHub, else None."""
    command = ["git", "-C", str(REPOSITORY), "remote", "get-url", "origin"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:  # no git here
        return None
    found = ON_GITHUB.search(done.stdout.strip())
    return found and found[1]


def site(slug):
    """Where GitHub Pages serves the site of the repository owner/name."""
    owner, name = slug.split("/")
    host = f"{owner.lower()}.github.io"
    # A repository that has the name of its owner's host is served at the root of it.
    return f"https://{host}/" if name.lower() == host else f"https://{host}/{name}/"


def of_site():
    """Where the site of this copy lies: `html.baseurl`, or its repository's Pages."""
    base = configuration()["html"].get("baseurl")
    return f"{base.rstrip('/')}/" if base else site(address()[0])


def set_up_cell(slug, branch):
    """The source of the first code cell of every chapter."""
    archive = f"https://github.com/{slug}/archive/refs/heads/{branch}.zip"
    text = (FOLDER / "set_up.py").read_text(encoding="utf-8")
    return text.replace("{archive}", archive).strip()


def write(notebook, name, slug, branch):
    """Put an address into a chapter's link to Colab and its set-up cell."""
    colab = f"https://colab.research.google.com/github/{slug}/blob/{branch}/notebooks/{name}"
    for cell in notebook.cells:
        cell.source = COLAB.sub(colab, cell.source)
        if cell.id == "setup":
            cell.source = set_up_cell(slug, branch)


def main():
    """Write the address into every chapter; the stored outputs stay as they are."""
    for path in sorted(FOLDER.glob("[0-9][0-9]_*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        write(notebook, path.name, *address())
        with atomic_write(path) as aside:
            nbformat.write(notebook, aside)


def setup(app):
    """Sphinx: take the address at hand in the place of that of `_config.yml`."""
    app.connect("config-inited", _put_into_theme)
    # Before the extensions that ask for it.
    app.connect("config-inited", _say_where_the_site_lies, priority=400)
    app.connect("source-read", _put_into_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _put_into_theme(app, config):
    slug, branch = address()
    link = {"repository_url": f"https://github.com/{slug}", "repository_branch": branch}
    config.html_theme_options = dict(config.html_theme_options) | link


def _say_where_the_site_lies(app, config):
    """For canonical links and previews, which need whole addresses.

    No page fetches anything from there, so a copy that lies elsewhere works as well.
    """
    config.html_baseurl = config.html_baseurl or site(address()[0])


def _put_into_page(app, page, source):
    source[0] = source[0].replace(f"/{configured()[0]}/", f"/{address()[0]}/")


if __name__ == "__main__":
    main()
