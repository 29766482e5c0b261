"""What is chosen as data, as plain values: from the widgets of the step to the data part of a sweep's spec, and back.

Knows a card and the answers of the session's data desk; no widget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gradiend_ui.engine.sweep.data_report import ALL, chosen_count, default_split, scaled_seconds, splits_of
from gradiend_ui.engine.values import NO_NEUTRAL

OWN, NONE = "#own", "#none"
"""Values of the neutral set's dropdown that are no names of sets: own texts, and no texts at all."""
ROW_WISE = "label"

Table = Mapping[str, Any]


@dataclass(frozen=True)
class Choice:
    """The values of the step, in the order in which listeners receive them.

    own_rows: {"rows", "columns", "row_counts", "classes", "target_words"} of an own table, None for the rows beside
    the checkpoint. own_neutral: {"neutral", "count"} or None. targets: {class: words}, "label" or None.
    """

    own_rows: Table | None
    own_neutral: Table | None
    targets: Mapping[str, Sequence[str]] | str | None
    neutral_set: str | None
    split: str | None
    max_rows: float | None
    max_neutral: float | None

    @property
    def rows_limit(self) -> int | None:
        return int(self.max_rows) if self.max_rows and self.max_rows >= 1 else None

    @property
    def neutral_limit(self) -> int | None:
        return int(self.max_neutral) if self.max_neutral and self.max_neutral >= 1 else None


def own_table(rows: Mapping[str, Any], report: Mapping[str, Any]) -> dict[str, Any]:
    """What the page keeps of an own table that the desk described."""
    kept = ("columns", "row_counts", "classes", "target_words", "rejected_count", "problem")
    return {"rows": dict(rows), **{key: report[key] for key in kept}}


def spec_of(choice: Choice) -> dict[str, Any]:
    """The data part of a sweep's spec."""
    spec: dict[str, Any] = {"split": choice.split or "test"}
    if choice.own_rows is not None:
        spec["rows"] = choice.own_rows["rows"]
        if choice.own_rows.get("columns") is not None:
            spec["columns"] = choice.own_rows["columns"]
    if choice.rows_limit is not None:
        spec["max_rows"] = choice.rows_limit
    if choice.neutral_limit is not None:
        spec["max_neutral"] = choice.neutral_limit
    if choice.targets is not None:
        spec["targets"] = choice.targets
    if choice.neutral_set == OWN and choice.own_neutral is not None:
        spec["neutral"] = choice.own_neutral["neutral"]
    elif choice.neutral_set in (None, OWN, NONE):
        spec["neutral_set"] = NO_NEUTRAL
    else:
        spec["neutral_set"] = choice.neutral_set
    return spec


def data_of(choice: Choice, card: Mapping[str, Any]) -> dict[str, Any]:
    """What `page.data.chosen` holds: the spec, and about how long one cell takes with it."""
    usual = chosen_count(card.get("row_counts", []), card["classes"], "test", None)
    usual += card["neutral_sets"].get(card["neutral_set"], usual)
    now = scored_rows(choice, card)
    now += scored_texts(choice, card, now)
    return {"spec": spec_of(choice), "seconds_per_cell": scaled_seconds(card["seconds_per_cell"], usual, now)}


def table_of(choice: Choice, card: Mapping[str, Any]) -> tuple[Sequence[Any], Sequence[str]]:
    """(counts, classes) of the rows in use."""
    if choice.own_rows is not None:
        return choice.own_rows.get("row_counts") or [], choice.own_rows.get("classes") or card["classes"]
    return card.get("row_counts", []), card["classes"]


def scored_rows(choice: Choice, card: Mapping[str, Any]) -> int:
    counts, classes = table_of(choice, card)
    return chosen_count(counts, classes, choice.split or ALL, choice.rows_limit)


def scored_texts(choice: Choice, card: Mapping[str, Any], rows: int) -> int:
    """Neutral texts that are scored; without any the rows stand in."""
    if choice.neutral_set == OWN and choice.own_neutral is not None:
        count = int(choice.own_neutral.get("count") or 0)
    else:
        count = int(card["neutral_sets"].get(choice.neutral_set, rows))
    return count if choice.neutral_limit is None else min(count, choice.neutral_limit)


def words_of(choice: Choice, card: Mapping[str, Any]) -> Mapping[str, Sequence[str]]:
    """The words of each class, as far as they are known without asking."""
    if isinstance(choice.targets, Mapping):
        return choice.targets
    table = card if choice.own_rows is None else choice.own_rows
    found: Mapping[str, Sequence[str]] = table.get("target_words") or {}
    return found


def opened_choice(card: Mapping[str, Any], data: Mapping[str, Any] | None) -> Choice:
    """The choice that a page opens with: the card's, or that of a run (`info["data"]`)."""
    spec: Mapping[str, Any] = data["spec"] if data else {}
    own_rows = None
    if data and "rows" in spec:
        own_rows = {
            "rows": spec["rows"],
            "columns": spec.get("columns"),
            "row_counts": data["row_counts"],
            "classes": card["classes"],
            "target_words": data["target_words"],
        }
    own_neutral = {"neutral": spec["neutral"], "count": None} if "neutral" in spec else None
    neutral_set = OWN if own_neutral else spec.get("neutral_set") or (None if data else card["neutral_set"])
    known = neutral_set in (OWN, *card["neutral_sets"])
    splits = splits_of(card.get("row_counts", []), card["classes"])
    return Choice(
        own_rows=own_rows,
        own_neutral=own_neutral,
        targets=spec.get("targets"),
        neutral_set=neutral_set if known else NONE,
        split=spec.get("split") or default_split(splits),
        max_rows=spec.get("max_rows"),
        max_neutral=spec.get("max_neutral"),
    )


def splits(choice: Choice, card: Mapping[str, Any]) -> dict[str, int]:
    """{split: rows} to choose from, "all" at the end; the chosen one is always there."""
    counts, classes = table_of(choice, card)
    found = splits_of(counts, classes)
    return found if choice.split in (None, *found) else {str(choice.split): 0, **found}


def name_of(given: Mapping[str, Any]) -> str | None:
    """The name of an upload; None for rows or texts that a script gave."""
    return given.get("name") if "upload" in given else None
