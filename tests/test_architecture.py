"""The house stands as ARCHITECTURE.md says: arrows one way, the judge without torch, nothing too
large to read."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "residua"
FACE = "residua"
LONGEST_MODULE = 500
# The last door; a check, which must not cost the work it says something about; a thread, which
# hands an error to who waits.
_CATCH_EVERYTHING = {"residua.cli", "residua.findings.not_checked", "residua.server.batcher"}
# Names under which a distribution is imported, where they differ.
IMPORT_NAMES = {
    "scikit-learn": "sklearn",
    "pillow": "PIL",
    "python-multipart": "python_multipart",
    "mlflow-skinny": "mlflow",
}


@dataclass(frozen=True)
class Import:
    module: str
    target: str
    line: int
    in_function: bool
    for_types: bool

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.target}"


class Imports(ast.NodeVisitor):
    """Every import of a module, wherever it stands, those for type checkers included."""

    def __init__(self, module: str) -> None:
        self.module, self.found, self.depth, self.for_types = module, [], 0, False

    def visit_If(self, node: ast.If) -> None:
        self.for_types = "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body:
            self.visit(statement)
        self.for_types = False
        for statement in node.orelse:
            self.visit(statement)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name, node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        assert node.level == 0, f"{self.module}:{node.lineno}: imports inside residua are absolute"
        for alias in node.names:
            is_module = f"{node.module}.{alias.name}" in modules()
            self._add(f"{node.module}.{alias.name}" if is_module else str(node.module), node.lineno)

    def _add(self, target: str, line: int) -> None:
        self.found.append(Import(self.module, target, line, self.depth > 0, self.for_types))


@cache
def modules() -> dict[str, Path]:
    names = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(modules()[module].read_text(encoding="utf-8"))


@cache
def imports_of(module: str) -> tuple[Import, ...]:
    visitor = Imports(module)
    visitor.visit(tree(module))
    return tuple(visitor.found)


def all_imports() -> Iterator[Import]:
    for module in modules():
        yield from imports_of(module)


@cache
def room_of(module: str) -> str:
    """The nearest folder above a module that the map lists; a file at the top is its own room."""
    folder = modules()[module].parent.relative_to(PACKAGE).parts
    if not folder:
        return module.removeprefix(f"{FACE}.")
    while ".".join(folder) not in the_map().order:
        folder = folder[:-1]
        assert folder, f"the map lists no folder that holds {module}"
    return ".".join(folder)


def rooms() -> set[str]:
    return {room_of(module) for module in modules()}


@dataclass(frozen=True)
class Map:
    """ARCHITECTURE.md's map: the order of the rooms, the wing of each, and the arrows."""

    order: tuple[str, ...]
    wings: dict[str, str]
    arrows: dict[str, frozenset[str]]

    def in_wing(self, *names: str) -> set[str]:
        return {room for room, wing in self.wings.items() if wing in names}


@cache
def the_map() -> Map:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    block = re.search(r"```map\n(.*?)```", text, re.DOTALL)
    assert block, "ARCHITECTURE.md has no ```map block"
    wing, order, wings, arrows = "", [], {}, {}
    for line in filter(str.strip, block[1].splitlines()):
        if not line.startswith(" "):
            wing = line.split()[0]
            continue
        left, _, uses = line.partition("<-")
        room = left.split()[0]
        order.append(room)
        wings[room], arrows[room] = wing, frozenset(uses.split())
    return Map(tuple(order), wings, arrows)


def arrows_in_the_code() -> dict[str, dict[str, Import]]:
    """For each room, the rooms it imports, each with one import that does it."""
    found: dict[str, dict[str, Import]] = {room: {} for room in rooms()}
    for one in all_imports():
        if one.target in modules() and room_of(one.target) != room_of(one.module):
            found[room_of(one.module)].setdefault(room_of(one.target), one)
    return found


def test_the_map_holds_every_room_once():
    assert sorted(the_map().order) == sorted(rooms())


def test_arrows_in_the_map_lead_to_rooms_that_stand_above():
    drawn = the_map()
    wrong = [
        f"{room} <- {used}"
        for i, room in enumerate(drawn.order)
        for used in drawn.arrows[room]
        if used not in drawn.order[:i]
    ]
    assert wrong == []


def test_every_import_follows_an_arrow_of_the_map():
    drawn = the_map()
    ground = drawn.in_wing("ground")
    wrong = []
    for room, used in arrows_in_the_code().items():
        above = set(drawn.order[: drawn.order.index(room)])
        wrong += [
            str(one)
            for name, one in used.items()
            if name not in drawn.arrows[room] | (ground & above)
        ]
    assert wrong == []


def test_every_arrow_of_the_map_is_used():
    used = arrows_in_the_code()
    unused = [
        f"{room} <- {name}"
        for room, names in the_map().arrows.items()
        for name in names - set(used[room])
    ]
    assert unused == [], "the map promises more than the code does"


def test_no_modules_import_each_other_in_a_circle():
    """At run time, when a module is loaded: imports inside functions come later and cannot close a
    circle."""
    graph = {
        name: {
            one.target
            for one in imports_of(name)
            if not (one.in_function or one.for_types) and one.target in modules()
        }
        for name in modules()
    }
    done: set[str] = set()

    def walk(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path[path.index(name) :], name))
        if name not in done:
            for target in sorted(graph[name] - {name}):
                if not name.startswith(f"{target}."):  # a module's own package is loaded before it
                    walk(target, (*path, name))
            done.add(name)

    for name in graph:
        walk(name, ())


@cache
def requirements(key: str | None) -> set[str]:
    """Import names of the core dependencies (None), or of an extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = project["dependencies"] if key is None else project["optional-dependencies"][key]
    names = [re.split(r"[\[<>=!~ ;]", line)[0] for line in listed]
    return {IMPORT_NAMES.get(name, name) for name in names}


def foreign(one: Import) -> str | None:
    """The outside package an import loads, None if it is our own, the standard library's, or for
    type checkers alone.
    """
    top = one.target.split(".")[0]
    ours = top == FACE or top in sys.stdlib_module_names
    return None if ours or one.for_types else top


def test_the_judging_wing_needs_no_package_of_the_training_wing():
    judging = the_map().in_wing("ground", "judging")
    wrong = [
        str(one)
        for one in all_imports()
        if room_of(one.module) in judging and foreign(one) in requirements("train")
    ]
    assert wrong == []


def test_the_judging_wing_never_imports_the_judged():
    drawn = the_map()
    judging, training = (
        drawn.in_wing("ground", "judging"),
        drawn.in_wing("training", "meeting", "doors"),
    )
    assert [
        str(one)
        for one in all_imports()
        if room_of(one.module) in judging
        and one.target in modules()
        and room_of(one.target) in training
    ] == []


def test_packages_that_are_imported_are_declared_and_those_of_extras_are_imported_late():
    drawn, core = the_map(), requirements(None)
    late = set().union(
        *(
            requirements(extra)
            for extra in (
                "tables",
                "train",
                "export",
                "serve",
                "remote",
                "cluster",
                "keras",
                "plot",
                "frames",
                "wandb",
                "loggers",
            )
        )
    )
    wrong = []
    for one in all_imports():
        package = foreign(one)
        light = drawn.wings[room_of(one.module)] in ("ground", "judging", "doors")
        if (
            package
            and package not in core
            and (package not in late or (light and not one.in_function))
        ):
            wrong.append(str(one))
    assert wrong == []


def test_commands_load_nothing_heavy_before_they_run():
    allowed = {"typer", "rich"}
    ours = {"residua.errors", "residua._text", "residua._threads"}
    wrong = []
    for one in all_imports():
        if room_of(one.module) != "cli" or one.in_function or one.for_types:
            continue
        package = foreign(one)
        is_ours = one.target in ours or one.target.startswith("residua.cli")
        if (package and package not in allowed) or (
            one.target.split(".")[0] == FACE and not is_ours
        ):
            wrong.append(str(one))
    assert wrong == []


def test_help_comes_up_without_numpy():
    script = (
        "import sys\nfrom residua.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n"
        "    pass\nheavy = {'numpy', 'scipy', 'sklearn', 'PIL', 'pydantic', 'torch', 'lightning'} &"
        " set(sys.modules)\nsys.exit(f'loaded: {sorted(heavy)}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_no_module_is_too_long_to_read():
    lengths = {
        name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in modules().items()
    }
    assert {name: n for name, n in lengths.items() if n > LONGEST_MODULE} == {}


def test_no_two_files_of_tests_have_one_name():
    """pytest would collect none of them."""
    names = sorted(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert names == sorted(set(names))


def test_no_module_is_a_drawer_for_everything():
    drawers = {"utils", "util", "helpers", "helper", "misc", "common", "tools"}
    assert [name for name in modules() if name.rsplit(".", 1)[-1] in drawers] == []


def test_only_the_last_door_and_the_place_that_makes_checks_catch_everything():
    wrong = []
    for name in modules():
        for node in ast.walk(tree(name)):
            if isinstance(node, ast.ExceptHandler):
                caught = ast.unparse(node.type) if node.type else "everything"
                if (
                    re.search(r"\b(everything|Exception|BaseException)\b", caught)
                    and name not in _CATCH_EVERYTHING
                ):
                    wrong.append(f"{name}:{node.lineno} except {caught}")
    assert wrong == []


def test_asserts_only_narrow_types():
    """`python -O` drops asserts, so what a user gives is never checked by one."""
    narrowing = re.compile(
        r"(isinstance\(.*\)|\S+ is not None)( and (isinstance\(.*\)|\S+ is not None))*"
    )
    wrong = []
    for name in modules():
        for node in ast.walk(tree(name)):
            if isinstance(node, ast.Assert) and not narrowing.fullmatch(ast.unparse(node.test)):
                wrong.append(f"{name}:{node.lineno} assert {ast.unparse(node.test)}")
    assert wrong == []


@pytest.mark.parametrize("folder", ["src", "tests", "benchmarks"])
def test_nothing_is_left_to_do_later(folder: str):
    marks = re.compile(r"#\s*(TODO|FIXME|XXX|HACK)\b")
    files = (ROOT / folder).rglob("*.py")
    assert [
        str(path.relative_to(ROOT))
        for path in files
        if marks.search(path.read_text(encoding="utf-8"))
    ] == []
