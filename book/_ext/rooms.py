"""Sphinx extension: which room of the library imports which, and how long each is, read from the code."""

import ast
from pathlib import Path

from course import Table
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

import cifar_lib

LIBRARY = Path(cifar_lib.__file__).parent
COMMANDS = "commands"  # the command line: above all rooms, and none of them
ROOMS = {path.parent.name for path in LIBRARY.glob("*/__init__.py")} - {COMMANDS}
STEP, BOX = (42, 36), (84, 28)  # of the picture, in its own units: right and down


def files(room):
    """The source files of a room; "" stands for those outside every room."""
    outside = [*LIBRARY.glob("*.py"), *(LIBRARY / COMMANDS).glob("*.py")]
    return sorted((LIBRARY / room).rglob("*.py") if room else outside)


def count_lines(room):
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files(room))


def imports(room):
    """The other rooms that the files of a room import."""
    found = set()
    for path in files(room):
        parts = list(path.relative_to(LIBRARY).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                base = [*parts[: -node.level], *(node.module.split(".") if node.module else [])]
                found |= {base[0]} if base else {alias.name for alias in node.names}
    return found & (ROOMS - {room})


def order():
    """The rooms from the ground up, each above those that it imports; else as the docstring names them."""
    return sorted(ROOMS, key=lambda room: cifar_lib.__doc__.index(f"`{room}`"))


def picture():
    """An SVG: the rooms as a staircase, and a dot to the right of a room above each that it imports."""
    names = [*reversed(order())]
    x = {name: STEP[0] * place + 1 for place, name in enumerate(names)}
    y = {name: STEP[1] * place + 1 for place, name in enumerate(names)}
    column = {name: x[name] + BOX[0] - 14 for name in names}
    middle = {name: y[name] + BOX[1] / 2 for name in names}
    lines, dots, boxes = [], [], []
    for name in names:
        below = [other for other in names if other in imports(name)]
        above = [other for other in names if name in imports(other)]
        if below:
            lines.append(f"M {x[name] + BOX[0]} {middle[name]} H {column[below[-1]]}")
        if above:
            lines.append(f"M {column[name]} {middle[above[0]]} V {y[name]}")
        dots += [f'<circle cx="{column[other]}" cy="{middle[name]}" r="4"/>' for other in below]
        boxes.append(
            f'<rect x="{x[name]}" y="{y[name]}" width="{BOX[0]}" height="{BOX[1]}" rx="4" fill="none" '
            f'stroke="currentColor"/>'
            f'<text x="{x[name] + BOX[0] / 2}" y="{middle[name] + 5}" text-anchor="middle">{name}</text>'
        )
    width, height = x[names[-1]] + BOX[0] + 1, y[names[-1]] + BOX[1] + 1
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img" aria-label="{words()}" '
        f'class="rooms" fill="currentColor" font-size="14">'
        f'<path d="{" ".join(lines)}" fill="none" stroke="currentColor" stroke-opacity="0.4"/>'
        f"{''.join(dots)}{''.join(boxes)}</svg>"
    )


def words():
    """What the picture shows, for those who do not see it."""
    said = [
        f"{room} imports {', '.join(sorted(imports(room), key=order().index)) or 'no other room'}"
        for room in reversed(order())
    ]
    return f"The rooms, one above the other: {'; '.join(said)}."


class RoomsPicture(SphinxDirective):
    """The picture of the rooms."""

    def run(self):
        return [nodes.raw("", picture(), format="html")]


class RoomsTable(Table):
    """Each room's modules and length. The content says what it was before: `ROOM: LINES, MODULES`."""

    has_content = True

    def lines(self):
        before = dict(line.split(": ") for line in self.content if line.strip())
        lines = ["| room | modules | lines | modules before | lines before |", "|---|---|---:|---|---:|"]
        total = was = 0
        for room in [*order(), ""]:
            old, modules = before.pop(room or "none").split(", ", 1)
            now = [path for path in files(room) if path.stem != "__init__"]
            inside = [".".join(path.relative_to(LIBRARY / room).with_suffix("").parts) for path in now]
            named = ", ".join(f"`{name}`" for name in inside)
            lines.append(
                f"| {room or 'outside'} | {named} | {count_lines(room):,} | {modules} | {int(old):,} |"
            )
            total, was = total + count_lines(room), was + int(old)
        if before:
            raise self.error(f"There is no room {', '.join(before)}.")
        return [*lines, f"| all | | {total:,} | | {was:,} |"]


def setup(app):
    app.add_directive("rooms-picture", RoomsPicture)
    app.add_directive("rooms-table", RoomsTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
