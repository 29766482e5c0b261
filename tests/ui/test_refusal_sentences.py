"""A refusal's English sentence stands where it is raised and in the English texts of the page: both say the same.

Where a page tells less, or more, than a script reads, the key is named here.
"""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator
from pathlib import Path

from gradiend_ui.ui.kit.words import texts_of

PACKAGE = Path(__file__).parents[2] / "gradiend_ui"
PLACE = "\0"
OF_THEIR_OWN = {
    "data.broken_text", "data.gone", "data.much_text", "data.no_known_class",
    "data.no_rows_in_it", "data.none_scored", "data.not_kept",
    "data.row_unread", "export.device_name", "export.exists", "load.hourly", "load.no_checkpoint", "load.no_model",
    "load.no_other_base", "load.no_paths", "load.not_unpacked", "load.zip_device", "load.zip_no_gradiend",
    "page.no_such_file", "runs.being_swept", "runs.no_run", "sweep.decimal_comma", "sweep.wrong_key",
}  # fmt: skip
"""Said in other words, or made of pieces where it is raised."""


def template_of(node: ast.expr | None) -> str | None:
    """A sentence with a mark at each of its values; None for what is no text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else PLACE for part in node.values)
    return None


def text_of(key: str) -> str:
    parts = string.Formatter().parse(texts_of("en")[key])
    return "".join(text + (PLACE if name is not None else "") for text, name, _, _ in parts)


def last_set(name: str, before: int, function: ast.AST) -> ast.expr | None:
    """What a function's variable was set to last before a line."""
    found = None
    for node in ast.walk(function):
        if not isinstance(node, ast.Assign) or not (0 if found is None else found.lineno) < node.lineno < before:
            continue
        if any(isinstance(target, ast.Name) and target.id == name for target in node.targets):
            found = node
    return None if found is None else found.value


def refusals(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """(key, sentence with marks) of every refusal whose both are written where it is raised."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        for call in ast.walk(function):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
                continue
            if call.func.attr != "known_as" or not isinstance(call.args[0], ast.Constant):
                continue
            raised: ast.expr | None = call.func.value
            if isinstance(raised, ast.Name):
                raised = last_set(raised.id, call.lineno, function)
            sentence = raised.args[0] if isinstance(raised, ast.Call) and raised.args else None
            if isinstance(sentence, ast.Name):
                sentence = last_set(sentence.id, call.lineno, function)
            if (template := template_of(sentence)) is not None:
                yield str(call.args[0].value), template


def test_a_sentence_says_the_same_to_scripts_and_on_the_page() -> None:
    found = [
        pair for path in sorted(PACKAGE.rglob("*.py")) for pair in refusals(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert len(found) > 100, "the search finds the refusals no more"
    different = {key for key, sentence in found if sentence != text_of(key)}
    assert different == OF_THEIR_OWN
