"""The other class and its word, filled in where no column names them and it is clear.

Clear is it in a table of two classes, and of one word each. Knows cells by their roles; no table.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gradiend_ui.engine.data.notes import Note
from gradiend_ui.engine.data.roles import column_text
from gradiend_ui.engine.errors import BadData, listed

Cells = dict[str, list[str]]


def with_alternatives(cells: Mapping[str, list[str]], ignored: Collection[int] = ()) -> tuple[Cells, tuple[Note, ...]]:
    """(cells of every role, sentences on what was filled in).

    alternative_class: the other one of two label classes; alternative: its only word, whatever the casing. Rows whose
    number is in `ignored` lend nothing. Raises BadData where it is not clear.
    """
    missing = [role for role in ("alternative", "alternative_class") if role not in cells]
    if not missing:
        return dict(cells), ()
    pairs = [
        (label.strip().lower(), name)
        for number, (label, name) in enumerate(zip(cells["label"], cells["label_class"], strict=True))
        if number not in ignored and label.strip() and name.strip()
    ]
    found: dict[str, set[str]] = {}
    for word, name in pairs:
        found.setdefault(name, set()).add(word)
    words = {name: sorted(found[name]) for name in sorted(found)}
    _require_two(words, missing)
    other = dict(zip(words, reversed(words), strict=True))
    filled = dict(cells)
    notes: list[Note] = []
    if "alternative_class" in missing:
        filled["alternative_class"] = [other.get(name, "") for name in cells["label_class"]]
        sentence = f"No column names the class of the alternative: it is the other one of {' and '.join(words)}."
        notes.append(
            Note(sentence, ("data.other_class", {"first": next(iter(words)), "second": next(reversed(words))}))
        )
    if "alternative" in missing:
        _require_one_word(words)
        filled["alternative"] = [words[name][0] if name in words else "" for name in filled["alternative_class"]]
        told = ", ".join(f"{name}: {found[0]}" for name, found in words.items())
        sentence = f"No column names the alternative: each row takes the only word of the other class ({told})."
        notes.append(Note(sentence, ("data.other_word", {"words": told})))
    return filled, tuple(notes)


def _require_two(words: Mapping[str, list[str]], missing: list[str]) -> None:
    if len(words) != 2:
        told = BadData(
            f"No column is chosen for {missing[0]}, and the rows hold {len(words)} classes "
            f"({listed(words) or 'none'}): only between two classes the other one is clear. Choose a column for it."
        )
        values = {"role": column_text(missing[0]), "count": len(words), "classes": listed(words) or "–"}
        raise told.known_as("data.other_unclear", **values)


def _require_one_word(words: Mapping[str, list[str]]) -> None:
    several = next((name for name, found in words.items() if len(found) > 1), None)
    if several is not None:
        shown = ", ".join([*words[several][:3], "..."] if len(words[several]) > 3 else words[several])
        told = BadData(
            f"No column is chosen for alternative, and class {several} has several words ({shown}): which one belongs "
            "to a row is not clear. Choose a column for it."
        )
        raise told.known_as("data.word_unclear", name=several, words=shown)
