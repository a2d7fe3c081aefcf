"""The house keeps its shape: who may import whom, and how long a module may grow."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted(p for room in ("index", "stream") for p in (ROOT / room).rglob("*.py"))
MAX_LINES = 500

SHELLS = ("stream.worker", "stream.local", "stream.demo", "stream.cli")
"""Rooms that may touch the clock, the environment, files and the network."""

DOORS = ("stream.features.cv", "stream.features.ort")
"""Set environment variables: OpenCV reads its pixel bound, and ONNX Runtime whether it may report home, from
nowhere else, once, when they are loaded."""

ENGINE = {"faust", "mode", "aiokafka", "prometheus_client"}
"""Libraries whose only home is the worker; clients of the broker elsewhere are listed by name below."""


def dotted(path: Path) -> str:
    """`stream/cli/init.py` as `stream.cli.init`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports_of(path: Path) -> set[str]:
    """Every module that a file imports, at any depth of its code."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


IMPORTS = {dotted(p): imports_of(p) for p in MODULES}


def under(module: str, *rooms: str) -> bool:
    """Whether a module is one of the rooms or stands inside one."""
    return any(module == room or module.startswith(room + ".") for room in rooms)


def breaches(
    importers: tuple[str, ...], forbidden: tuple[str, ...], *, allowed: tuple[str, ...] = ()
) -> list[str]:
    """`importer -> imported` for every import from `importers` into `forbidden`, except from `allowed`."""
    return [
        f"{module} -> {imported}"
        for module, found in IMPORTS.items()
        if under(module, *importers) and not under(module, *allowed)
        for imported in sorted(found)
        if under(imported, *forbidden)
    ]


@pytest.mark.parametrize(
    ("importers", "forbidden", "allowed"),
    [
        (("index",), ("stream",), ()),
        (("stream.join", "stream.clock"), ("stream.features",), ()),
        (("stream.features",), ("stream.join", "stream.clock"), ()),
        (("index", "stream"), ("stream.worker",), ("stream.worker", "stream.cli")),
        (("index", "stream"), ("stream.cli",), ("stream.cli",)),
        (("index", "stream"), tuple(ENGINE), ("stream.worker", "stream.cli")),
        (("index", "stream"), ("onnxruntime",), ("stream.features.ort", "stream.local.quantise")),
        (("index", "stream"), ("os", "time", "socket", "subprocess", "random"), (*SHELLS, *DOORS)),
    ],
    ids=[
        "index knows nothing of the stream",
        "the join knows nothing of features",
        "features know nothing of the join",
        "only the command line imports the worker",
        "nothing imports the command line",
        "the engine stays in the worker",
        "ONNX Runtime is loaded by its one door",
        "the core has no clock, no environment and no network",
    ],
)
def test_imports_flow_in_one_direction(
    importers: tuple[str, ...], forbidden: tuple[str, ...], allowed: tuple[str, ...]
) -> None:
    """No import breaks the direction that docs/architecture.md draws."""
    assert breaches(importers, forbidden, allowed=allowed) == []


def test_no_module_imports_itself_through_others() -> None:
    """The import graph has no cycle."""
    graph = {m: {i for i in found if i in IMPORTS and i != m} for m, found in IMPORTS.items()}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path[path.index(module) :], module))
        if module in done:
            return
        for imported in sorted(graph[module]):
            visit(imported, (*path, module))
        done.add(module)

    for module in sorted(graph):
        visit(module, ())


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_a_module_fits_in_the_head(path: Path) -> None:
    """No module is longer than the house rule allows."""
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES, f"{path.relative_to(ROOT)} has {lines} lines; split it by job"


def test_the_reader_of_imports_sees_a_breach() -> None:
    """The check can fail: an import that does exist is reported when it is forbidden."""
    assert breaches(("stream.events",), ("index.records",)) != []
