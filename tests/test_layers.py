"""The map of the house: which package may import which, and which libraries a part of it never imports."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "gradiend_ui"
ORDER = [
    "engine.errors",
    "engine.registry",
    "engine.values",
    "engine.answers",
    "engine.files",
    "engine.uploads",
    "engine.store",
    "engine.data",
    "engine.data.forms",
    "engine.checkpoint",
    "engine.base",
    "engine.weights",
    "engine.scoring",
    "engine.selection",
    "engine.model",
    "engine.training",
    "engine.sweep",
    "engine.compare",
    "engine.export",
    "engine.worker",
    "figures",
    "trainer",
    "server.door",
    "server",
    "ui.kit",
    "ui.load",
    "ui.data",
    "ui.sweep",
    "ui.grid",
    "ui.compare",
    "ui.export",
    "ui.runs",
    "ui.page",
    "ui.listeners",
    "ui",
]
"""A package imports only what stands before it, and itself without a loop."""
MOST_FLOORS = 9
"""Packages of the engine that stand on each other, at most."""
MOST_VAGUE = 0.03
"""The share of the page's annotations that may say Any: what Gradio hands over, and the API's free options."""
NEVER = {
    "engine": {"gradio", "plotly"},
    "figures": {"gradio", "torch", "transformers"},
    "server": {"gradio", "plotly", "torch", "transformers"},
    "ui": {"torch", "transformers"},
}
FIGURES_STAND_ON = {"engine.errors", "engine.values", "engine.answers", "figures"}


@cache
def modules() -> dict[str, frozenset[str]]:
    """Module -> full names of everything it imports, at any depth; names below `gradiend_ui.`."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        pieces = path.relative_to(PACKAGE).with_suffix("").parts
        names: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: relative import"
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
        found[".".join(pieces).removesuffix("__init__").rstrip(".")] = frozenset(names)
    return found


def own(names: frozenset[str]) -> set[str]:
    """The modules of the house among imported names."""
    heads = {name.removeprefix("gradiend_ui.") for name in names if name.startswith("gradiend_ui.")}
    return {name if name in modules() else name.rpartition(".")[0] for name in heads}


def package_of(module: str) -> str:
    """The longest entry of ORDER that the module lies in, "" for the front door."""
    fitting = [name for name in ORDER if f"{module}.".startswith(f"{name}.")]
    assert fitting or module in {"", "engine"}, f"{module} lies in no package of the map: name it in ORDER"
    return max(fitting, key=len, default="")


def test_packages_stand_on_those_before_them() -> None:
    for module, names in modules().items():
        package = package_of(module)
        for other in map(package_of, own(names)):
            if package and other:
                assert ORDER.index(other) <= ORDER.index(package), f"{module} imports {other}, which stands above it"
                assert package != "figures" or other in FIGURES_STAND_ON, f"{module} imports {other}"


def test_no_module_imports_itself_through_others() -> None:
    finished: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, f"loop: {' -> '.join((*trail, module))}"
        if module not in finished:
            for other in own(modules()[module]) - {module, ""}:
                visit(other, (*trail, module))
            finished.add(module)

    for module in modules():
        visit(module, ())


def test_the_engine_has_few_floors() -> None:
    below: dict[str, set[str]] = {name: set() for name in ORDER if name.startswith("engine.")}
    for module, names in modules().items():
        if (package := package_of(module)) in below:
            below[package] |= {package_of(other) for other in own(names)} - {package, ""}

    @cache
    def floors(package: str) -> int:
        return 1 + max((floors(other) for other in below[package]), default=0)

    assert max(map(floors, below)) <= MOST_FLOORS


def test_parts_keep_to_their_libraries() -> None:
    for module, names in modules().items():
        heads = {name.split(".")[0] for name in names}
        assert not heads & NEVER.get(module.split(".")[0], set()), module


def test_folders_stay_small() -> None:
    for folder in {path.parent for path in PACKAGE.rglob("*.py")}:
        files = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(files) <= 14, f"{folder.relative_to(ROOT)} has {len(files)} files"


def test_the_page_says_what_its_values_are() -> None:
    told = [text for path in (PACKAGE / "ui").rglob("*.py") for text in annotations(path)]
    vague = [text for text in told if re.search(r"\bAny\b", text)]
    assert len(vague) <= MOST_VAGUE * len(told), f"{len(vague)} of {len(told)} annotations of ui/ say Any"


def annotations(path: Path) -> Iterator[str]:
    """The annotations of all arguments, returns and variables."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        found = [node.annotation] if isinstance(node, ast.arg | ast.AnnAssign) else []
        found += [node.returns] if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else []
        yield from (ast.unparse(one) for one in found if one is not None)


@pytest.mark.parametrize("statement", ["import gradiend_ui", "import app", "import gradiend_ui.server.session"])
def test_importing_is_cheap(statement: str) -> None:
    code = (
        f"import sys; {statement}; sys.exit(' '.join({{'torch', 'gradio', 'transformers'}} & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_public_names_are_handed_out() -> None:
    import gradiend_ui

    for name in gradiend_ui.__all__:
        assert getattr(gradiend_ui, name) is not None
    with pytest.raises(AttributeError):
        _ = gradiend_ui.Nothing
