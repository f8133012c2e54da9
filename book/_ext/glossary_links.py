"""Sphinx extension: the first use of each glossary term in a chapter leads to the glossary.

The chapters are notebooks, and Jupyter would show a role as it is written. So the links are made here.
"""

import re

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.transforms.post_transforms import SphinxPostTransform

CHAPTERS = "notebooks/"
SKIPPED = (nodes.title, nodes.reference, nodes.literal, nodes.literal_block, nodes.math, pending_xref)
# Words of every sentence, or of none of the course's meaning; a link on each would be noise.
UNLINKED = {"point", "view", "channel", "interval", "record", "run"}


class GlossaryLinks(SphinxPostTransform):
    """Turn the first occurrence of each term in a chapter's text into a link."""

    default_priority = 5

    def run(self, **kwargs):
        if not self.env.docname.startswith(CHAPTERS):
            return
        terms = self.env.get_domain("std")._terms
        left = {term: place for term, place in terms.items() if term not in UNLINKED}
        for text in list(self.document.findall(nodes.Text)):
            if not left or _inside(text, SKIPPED):
                continue
            pattern = (
                r"\b(" + "|".join(re.escape(term) for term in sorted(left, key=len, reverse=True)) + r")s?\b"
            )
            found = re.search(pattern, str(text), re.I)
            if found and found[1].lower() in left:
                docname, label = left.pop(found[1].lower())
                self._link(text, found, docname, label)

    def _link(self, text, found, docname, label):
        uri = self.app.builder.get_relative_uri(self.env.docname, docname)
        link = nodes.reference(
            "", found[0], internal=True, refuri=f"{uri}#{label}", classes=["glossary-term"]
        )
        before, after = str(text)[: found.start()], str(text)[found.end() :]
        text.parent.replace(text, [nodes.Text(before), link, nodes.Text(after)])


def _inside(node, kinds):
    while node is not None:
        if isinstance(node, kinds):
            return True
        node = node.parent
    return False


def setup(app):
    app.add_post_transform(GlossaryLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
