"""The roles of a table's columns: how each is usually spelled, and which column plays it.

Knows names only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gradiend_ui.engine.data.spelling import same_column
from gradiend_ui.engine.errors import BadData, Text, listed, shown

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "masked": ("masked", "template", "masked_text"),
    "label": ("label", "factual", "factual_token", "token"),
    "label_class": ("label_class", "factual_class", "factual_id"),
    "alternative": ("alternative", "alternative_token", "counterfactual"),
    "alternative_class": ("alternative_class", "alternative_id", "counterfactual_class"),
    "split": ("split",),
}
"""Our name of each column and the spellings that are recognised, best first."""


def plain_names(names: Iterable[object]) -> list[str]:
    """Names of columns as texts, also of those that have several names or a number."""
    return ["_".join(str(one) for one in name if str(one)) if isinstance(name, tuple) else str(name) for name in names]


def same_columns() -> BadData:
    """The refusal of a table where it is not clear which column plays a role."""
    return BadData("Two columns of the table have the same name: rename one.").known_as("data.same_columns")


def find_columns(have: Sequence[str], given: Mapping[str, str], *, alternatives: bool = True) -> dict[str, str]:
    """{role: column of the table}, by the given names, else by known spellings. Raises BadData when one is missing.

    A role given as "" has no column, which only the split may do without; the two roles of the alternative as well
    where `alternatives` is False.
    """
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given.values()):
        raise BadData(f"columns must map our names to the table's, not {shown(given)}.")
    unknown = sorted(set(given) - set(COLUMNS))
    if unknown:
        raise BadData(f"Unknown column role {shown(unknown[0])}; known: {', '.join(COLUMNS)}.")
    free = {"split"} if alternatives else {"split", "alternative", "alternative_class"}
    found: dict[str, str] = {}
    for role, spellings in COLUMNS.items():
        candidates = (given[role],) if role in given else spellings
        match = next((name for wanted in candidates if wanted and (name := same_column(wanted, have))), None)
        if match is None and given.get(role):
            name, columns = shown(given[role]), listed(have)
            told = BadData(f"There is no column {name} for {role}. Columns: {columns}.")
            raise told.known_as("data.column_missing", name=name, role=column_text(role), columns=columns)
        if match is None and role not in free:
            tried = "" if role in given else f" (tried {', '.join(spellings)})"
            told = BadData(f"No column looks like {shown(role)}{tried}. Columns: {listed(have)}.")
            names = "" if role in given else ("data.tried", {"names": ", ".join(spellings)})
            raise told.known_as("data.column_not_found", role=column_text(role), tried=names, columns=listed(have))
        if match is not None and have.count(match) > 1:
            raise same_columns()
        if match is not None:
            found[role] = match
    return found


def role_text(role: str) -> Text:
    """What a page calls a column's role inside a sentence."""
    return f"data.reason_role_{role}", {}


def column_text(role: str) -> Text:
    """The same as the page's choice of a column for it is called."""
    return "data.quoted", {"name": (f"data.role_{role}", {})}
