"""Draws which rooms of the two packages import which, from the code itself, for docs/house.md.

    python docs/import_graph.py    # writes the picture into docs/house.md

A room is a folder of a package, or a module at its top. Imports count wherever they stand, also in
functions; those for type checkers alone do not. A circle of modules is an error.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "house.md"
PACKAGES = {"hs2s_core": "hs2s_core", "plugin": "hs2s_fiftyone"}
"""Folder of each package -> the name that it is imported by."""
START, END = "<!-- imports:start (python docs/import_graph.py) -->", "<!-- imports:end -->"

Graph = Mapping[str, set[str]]


def read_modules() -> dict[str, Path]:
    """File of each module, by its name."""
    found = {}
    for folder, package in PACKAGES.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            name = ".".join((package, *parts))
            found[name.removesuffix(".__init__")] = path
    return found


def module_graph() -> Graph:
    """Which module imports which."""
    modules = read_modules()
    graph: dict[str, set[str]] = {}
    for name, path in modules.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        targets = _imports(ast.parse(path.read_text("utf-8")), package)
        known = (t if t in modules else t.rpartition(".")[0] for t in targets)
        graph[name] = {target for target in known if target in modules} - {name}
    return graph


def _imports(node: ast.AST, package: str) -> Iterator[str]:
    """Absolute names of what a tree imports; of ``from a import b`` this is ``a.b``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - child.level + 1]
            base = [*(above if child.level else []), *filter(None, [child.module])]
            yield from (".".join([*base, alias.name]) for alias in child.names)
        yield from _imports(child, package)


def find_circle(graph: Graph) -> list[str]:
    """A circle of the graph, first and last alike; empty if it has none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def room_graph(graph: Graph) -> dict[str, set[str]]:
    """Which room imports which."""
    rooms: dict[str, set[str]] = {}
    for name, targets in graph.items():
        found = {_room(target) for target in targets} - {_room(name)}
        rooms.setdefault(_room(name), set()).update(found)
    return rooms


def _room(module: str) -> str:
    return ".".join(module.split(".")[:2])


def draw(rooms: Graph) -> str:
    """A Mermaid flow chart, a box for each package; arrows point to what is imported.

    Arrows that follow from others are left out.
    """
    lines = ["```mermaid", "flowchart TD"]
    for folder, package in PACKAGES.items():
        lines.append(f"  subgraph {folder}_rooms [{folder}]")
        own = sorted(room for room in rooms if room.partition(".")[0] == package)
        lines += [f"    {_box(room)}[{room.partition('.')[2] or folder}]" for room in own]
        lines.append("  end")
    for room, targets in sorted(rooms.items()):
        direct = sorted(_direct(rooms, targets))
        lines += [f"  {_box(room)} --> {_box(target)}" for target in direct]
    return "\n".join([*lines, "```"])


def _box(room: str) -> str:
    return room.replace(".", "_")


def _direct(rooms: Graph, targets: set[str]) -> set[str]:
    """The targets that none of the other targets imports."""
    return {t for t in targets if not any(t in _below(rooms, other) for other in targets - {t})}


def _below(rooms: Graph, room: str) -> set[str]:
    """Everything that a room imports, directly or not."""
    found: set[str] = set()
    todo = [room]
    while todo:
        for target in rooms.get(todo.pop(), ()):
            if target not in found:
                found.add(target)
                todo.append(target)
    return found


def page(graph: Graph, text: str) -> str:
    """The page of this text with the picture of the graph in its place."""
    head, _, rest = text.partition(START)
    return f"{head}{START}\n{draw(room_graph(graph))}\n{END}{rest.partition(END)[2]}"


def main() -> None:
    """Write the picture."""
    graph = module_graph()
    if circle := find_circle(graph):
        sys.exit(f"modules import each other in a circle: {' -> '.join(circle)}")
    PAGE.write_text(page(graph, PAGE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
