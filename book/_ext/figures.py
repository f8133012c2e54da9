"""Sphinx extension: the chapters' figures in the size for which they were drawn.

They have two pixels per point, for sharp screens, which a browser would show as twice the size.
"""

import struct
from pathlib import Path

from docutils import nodes


def size(file):
    """Width and height in pixels of a PNG file, from its header."""
    with open(file, "rb") as opened:
        return struct.unpack(">II", opened.read(24)[16:])


def set_widths(app, document):
    for image in document.findall(nodes.image):
        file = Path(app.srcdir) / image["uri"]
        if "jupyter_execute" in file.parts and file.suffix == ".png" and "width" not in image:
            image["width"] = f"{size(file)[0] // 2}px"


def setup(app):
    app.connect("doctree-read", set_widths)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
