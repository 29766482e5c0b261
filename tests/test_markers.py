"""Markers, the package of the tests and what no test may do: assert on time, change the path of imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.markers import FOLDERS, LONG, markers_of

TESTS = Path(__file__).parent
CLOCKS = {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time", "timeit"}


def files() -> list[Path]:
    return sorted(TESTS.rglob("*.py"))


def test_every_marker_is_registered(pytestconfig: pytest.Config) -> None:
    registered = {line.partition(":")[0] for line in pytestconfig.getini("markers")}
    assert registered >= {*FOLDERS, "quick"}


def test_tests_carry_the_markers_of_their_folders(request: pytest.FixtureRequest) -> None:
    """Of those that are collected with this one, which in a run of everything are all."""
    for item in request.session.items:
        folder = item.path.relative_to(TESTS).parts[0]
        carried = {mark.name for mark in item.iter_markers()}
        assert folder not in FOLDERS or folder in carried, item.nodeid
        assert "quick" not in carried or not carried & {"parity", "browser", "faults", "slow"}, item.nodeid


def test_markers_follow_from_the_place() -> None:
    assert markers_of("parity/test_x.py::test_y[a-b]") == {"parity"}
    assert markers_of("security/test_x.py::test_y") == {"security", "quick"}
    assert markers_of("test_docs.py::test_y") == {"quick"}
    for place in LONG:
        assert "quick" not in markers_of(f"{place}[x]" if "::" in place else f"{place}::test_y"), place


def test_what_is_said_to_take_long_is_there() -> None:
    for place in LONG:
        file, _, test = place.partition("::")
        assert (TESTS / file).is_file(), place
        assert not test or f"def {test}(" in (TESTS / file).read_text(encoding="utf-8"), place


def test_every_folder_is_a_package_and_imports_say_where_from() -> None:
    """So that no two modules share a name and any files run together, in any order."""
    heads = {path.stem for path in TESTS.rglob("*.py")} - {"app"} | {path.name for path in TESTS.iterdir()}
    for path in files():
        is_package = (path.parent / "__init__.py").is_file()
        assert is_package or not path.name.startswith(("test_", "conftest")), f"{path.parent} is no package"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert not {alias.name for alias in node.names} & heads, f"{path}: {ast.unparse(node)}"
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0 and (node.module or "").split(".")[0] not in heads, f"{path}: {node.module}"
            elif isinstance(node, ast.Attribute):
                assert ast.unparse(node) != "sys.path", f"{path} looks at the path of imports"


def test_no_test_asserts_on_time() -> None:
    """Other work on the machine delays everything. A loop may give up waiting, and a program may measure."""
    found = [
        f"{path.relative_to(TESTS)}:{line}"
        for path in files()
        if path.parent.name != "programs"
        for line in asserts_on_time(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert found == []


@pytest.mark.parametrize(
    "code, is_found",
    [
        ("began = perf_counter()\nwork()\nassert perf_counter() - began < 3", True),
        ("began = time.monotonic()\nwork()\ntook = time.monotonic() - began\nassert took < 3", True),
        ("began = perf_counter()\nwork()\nended = perf_counter()\nassert ended - began < 3", True),
        ("assert timeit.timeit(work) < 1", True),
        ("spent = []\nspent.append(time.perf_counter() - began)\nassert max(spent) < 2", True),
        ("assert seconds_of(work) < 1 and time.process_time() < 9", True),
        ("until = time.monotonic() + 60\nwhile not done():\n    assert time.monotonic() < until", False),
        ("now = time.time()\nassert tidy(now) == ()", False),
        ("assert tidy(time.time() + 60).removed == ()", False),
        ("now = time.time()\nassert tidy(now + KEPT_SECONDS - 60).removed == ()", False),
    ],
)
def test_an_assertion_on_time_is_found(code: str, is_found: bool) -> None:
    assert bool(list(asserts_on_time(ast.parse(code)))) is is_found


def asserts_on_time(tree: ast.AST) -> Iterator[int]:
    """Lines of the assertions, outside of loops that wait, that compare a time span or a clock."""
    waiting = {id(node) for loop in ast.walk(tree) if isinstance(loop, ast.While) for node in ast.walk(loop)}
    clocks = {name for node in ast.walk(tree) for name, value in _named(node) if _is_clock(value, set())}
    spans = {name for node in ast.walk(tree) for name, value in _named(node) if _holds_span(value, clocks, set())}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert) and id(node) not in waiting:
            for compare in (part for part in ast.walk(node.test) if isinstance(part, ast.Compare)):
                sides = (compare.left, *compare.comparators)
                if any(_holds_span(side, clocks, spans) or _is_clock(side, clocks) for side in sides):
                    yield node.lineno


def _named(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """(name, value) of an assignment, and of what is appended or added to a name."""
    if isinstance(node, ast.Assign):
        yield from ((ast.unparse(target), node.value) for target in node.targets)
    elif isinstance(node, ast.AugAssign | ast.AnnAssign) and node.value is not None:
        yield ast.unparse(node.target), node.value
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("append", "add"):
        yield from ((ast.unparse(node.func.value), given) for given in node.args)


def _holds_span(node: ast.AST, clocks: set[str], spans: set[str]) -> bool:
    """A clock less another time, somewhere in the expression, or a name that holds a span."""
    for part in ast.walk(node):
        if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Sub) and not isinstance(part.right, ast.Constant):
            if _is_clock(part.left, clocks) or _is_clock(part.right, clocks):
                return True
        elif isinstance(part, ast.Name | ast.Attribute) and ast.unparse(part) in spans:
            return True
    return False


def _is_clock(node: ast.AST, clocks: set[str]) -> bool:
    """A call of a clock, or a name that holds what one told."""
    if isinstance(node, ast.Call):
        return (node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)) in CLOCKS
    return isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node) in clocks
