"""Sphinx extension: each room's public names with their signatures and docstrings."""

import importlib
import inspect
import re
from dataclasses import is_dataclass
from enum import Enum
from types import ModuleType

from course import Markdown
from docutils import nodes
from numpy.typing import ArrayLike
from pydantic import BaseModel
from sphinx.domains.python import PyXRefRole
from sphinx.util.inspect import stringify_signature
from sphinx.util.typing import stringify_annotation

PACKAGE = "cifar_lib"
INDENT = "   "


def public_names(module):
    """The names of `__all__`, or else those that the module defines itself, without a leading underscore."""
    own = [
        name
        for name, thing in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(thing) or inspect.isroutine(thing))
        and thing.__module__ == module.__name__
    ]
    return getattr(module, "__all__", own)


def entries(module, constants):
    """The reStructuredText of a module and of each public name in it; autodoc does the rest.

    A module among the names comes last, with its own names in turn. `constants` says what each constant is,
    which can have no docstring, and loses those that were found.
    """
    lines = [f".. automodule:: {module.__name__}", ""]
    below = []
    for name in public_names(module):
        thing = getattr(module, name)
        path = f"{module.__name__}.{name}"
        if isinstance(thing, ModuleType):
            below.append(thing)
        elif inspect.isclass(thing):
            lines += [f".. autoclass:: {path}", f"{INDENT}:members:"]
            lines += [f"{INDENT}:undoc-members:", ""] if issubclass(thing, Enum) else [""]
        elif inspect.isroutine(thing):
            lines += [f".. autofunction:: {path}", ""]
        else:
            kind = type(thing).__name__
            options = [f"{INDENT}:module: {module.__name__}", f"{INDENT}:type: {kind}"]
            lines += [f".. py:data:: {name}", *options, "", INDENT + constants.pop(name), ""]
    for other in below:
        title = other.__name__.removeprefix(f"{PACKAGE}.")
        lines += [f".. rubric:: {title}", "", *entries(other, constants)]
    return lines


class PublicNames(Markdown):
    """All public names of one room. The content says what each constant is: `NAME: words`."""

    required_arguments = 1
    has_content = True

    def lines(self):
        constants = dict(line.split(": ", 1) for line in self.content if line.strip())
        try:
            lines = entries(importlib.import_module(f"{PACKAGE}.{self.arguments[0]}"), constants)
        except KeyError as error:
            raise self.error(f"Say what the constant {error} is.") from None
        if constants:
            raise self.error(f"There is no constant {', '.join(constants)}.")
        return ["````{eval-rst}", *lines, "````"]


def class_signature(app, what, name, obj, options, signature, result):
    """The public fields of a class of data and their defaults; plain types where pydantic has limits."""
    if what != "class" or not inspect.isclass(obj):
        return None
    if issubclass(obj, Enum):
        return "", ""
    if not (issubclass(obj, BaseModel) or is_dataclass(obj)):
        return None
    parameters = []
    for parameter in inspect.signature(obj).parameters.values():
        if issubclass(obj, BaseModel):
            parameter = parameter.replace(annotation=obj.model_fields[parameter.name].annotation)
        elif callable(factory := obj.__dataclass_fields__[parameter.name].default_factory):
            parameter = parameter.replace(default=factory())
        parameters += [] if parameter.name.startswith("_") else [parameter]
    return stringify_signature(inspect.Signature(parameters), unqualified_typehints=True), ""


def short_signature(app, what, name, obj, options, signature, result):
    """A signature in which numpy's `ArrayLike` has its name; it is a union of many types."""
    written = stringify_annotation(ArrayLike, "smart")
    return (signature or "").replace(written, "~numpy.typing.ArrayLike"), result


def leave_out(app, what, name, obj, skip, options):
    """Leave out members that a reader does not use: settings, and attributes that only rename something."""
    alias = inspect.isclass(obj) or (getattr(obj, "__doc__", None) or "").startswith("Alias for field")
    return True if what == "class" and (alias or name == "model_config") else None


def keep_sentence(app, what, name, obj, options, lines):
    """Hide the colon of a property's first sentence from napoleon, which would read a type before it."""
    if what == "property":
        lines[0] = f": {lines[0]}"


def name_role(role, rawtext, text, *arguments, **options):
    """Text between single backticks: a link if it can only be a name, since `shift` may be a parameter."""
    if not re.search(r"[._A-Z]", text):
        return [nodes.literal(text, text)], []
    return PyXRefRole()("py:obj", rawtext, text, *arguments, **options)


def find_name(app, env, node, contnode):
    """Link `data.load`, and a type by its defining module; leave other text in backticks as it is."""
    if node.get("refdomain") != "py":
        return None
    known = env.get_domain("py").objects
    *path, name = node["reftarget"].split(".")
    for length in range(len(path), -1, -1):
        for start in ([], [PACKAGE]):
            target = ".".join([*start, *path[:length], name])
            if target in known:
                node["reftarget"] = target
                return env.get_domain("py").resolve_xref(
                    env, node["refdoc"], app.builder, node["reftype"], target, node, contnode
                )
    return nodes.literal("", contnode.astext()) if node["reftype"] == "obj" else None


def setup(app):
    app.setup_extension("sphinx.ext.autodoc")
    app.setup_extension("sphinx.ext.napoleon")
    app.add_directive("public-names", PublicNames)
    app.add_role("public-name", name_role)
    app.connect("autodoc-process-signature", class_signature)  # what it leaves alone goes to the next
    app.connect("autodoc-process-signature", short_signature, priority=600)
    app.connect("autodoc-skip-member", leave_out)
    app.connect("autodoc-process-docstring", keep_sentence, priority=100)
    app.connect("missing-reference", find_name)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
