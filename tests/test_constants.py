"""Every constant once: no list of names, and no shared number, is written down in two files of the package."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "gradiend_ui"
SHARED = {"DEFAULT_RATIO": 0.99, "GIGABYTE": 2**30, "MEGABYTE": 2**20, "BFLOAT16": "bfloat16", "MASK": "[MASK]"}
"""Constants that everybody would write anew: by this name there is one definition, and by no other name one."""
OF_OTHER_KINDS = {2**20: {"CHUNK", "SMALL_BYTES", "IN_PLACE_BYTES", "MOST_BYTES", "MOST_BESIDE"},
                  2**30: {"_OTHER_TABLE", "MOST_MEMORY"}}  # fmt: skip
"""Limits that happen to be as large."""
TWICE = {
    *(("content", "name"), ("feature_factor", "learning_rate"), ("max", "min"), ("q1", "q3"), ("neutral", "rows")),
    ("test", "train", "validation"),
}
"""Pairs of keys or fields that say nothing of a choice; and the splits, where their order is one of preference."""
BY_CHANCE = {
    *(("MAX_LEVELS", "4"), ("PATIENCE_SECONDS", "5.0"), ("SHOWN", "5"), ("LONGEST_NAME", "80")),
    *(("ALL", "'all'"), ("NEUTRAL", "'neutral'"), ("SWAP", "'swap'"), ("BASE", "'base'")),
}
"""Constants of two files with one name and one value that have nothing to do with each other."""
PIECES = {"", ".", "..", "/", "\\", "~"}


def constants(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """(name, what it is set to) of a module's own names, also of several at once."""
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            value = node.value
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
                pairs = list(zip(target.elts, value.elts, strict=True))
            else:
                pairs = [(target, value)]
            yield from ((name.id, own) for name, own in pairs if isinstance(name, ast.Name) and own is not None)


def number_of(node: ast.expr) -> object:
    """A constant, or powers and products of some; None for anything else."""
    if any(not isinstance(part, (ast.Constant, ast.BinOp, ast.operator)) for part in ast.walk(node)):
        return None
    return eval(compile(ast.Expression(node), "<constant>", "eval"), {})


def texts_in(tree: ast.AST) -> Iterator[tuple[str, ...]]:
    """The texts of every tuple, list, set and Literal of two or more texts, in alphabetical order."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Tuple, ast.List, ast.Set)) and len(node.elts) > 1:
            texts = [one.value for one in node.elts if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            if len(texts) == len(node.elts) and not PIECES.issuperset(texts):
                yield tuple(sorted(texts))


def trees() -> dict[str, ast.Module]:
    return {
        path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def test_no_list_of_names_stands_in_two_files() -> None:
    found: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for name, tree in trees().items():
        for texts in texts_in(tree):
            found[texts].add(name)
    assert {texts: files for texts, files in found.items() if len(files) > 1 and texts not in TWICE} == {}


def test_shared_values_have_one_home() -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    for file, tree in trees().items():
        for name, value in constants(tree):
            number = number_of(value)
            for shared, own in SHARED.items():
                if type(number) is type(own) and number == own and name not in OF_OTHER_KINDS.get(own, ()):
                    homes[shared].append(f"{file}: {name}")
    assert {name: places for name, places in homes.items() if len(places) > 1} == {}


def test_no_constant_is_set_to_the_same_value_in_two_files() -> None:
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for file, tree in trees().items():
        for name, value in constants(tree):
            if name.isupper() and not any(isinstance(part, ast.Name) for part in ast.walk(value) if part is not value):
                found[name, ast.unparse(value)].append(file)
    assert {names: files for names, files in found.items() if len(files) > 1 and names not in BY_CHANCE} == {}


def test_objectives_and_policies_are_named_where_they_are_registered() -> None:
    """Whoever asks for more than the name asks the registry."""
    from gradiend_ui.engine.base.objectives import OBJECTIVES
    from gradiend_ui.engine.selection.policies import POLICIES

    homes = {"engine/base/objectives.py": OBJECTIVES, "engine/selection/policies.py": POLICIES}
    named = {
        (file, node.value)
        for file, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if node.value in OBJECTIVES or node.value in POLICIES
    }
    assert named == {(file, name) for file, registry in homes.items() for name in registry}
