"""What is chosen as data, as plain values: from the widgets of the step to the data part of a sweep's spec, and back.

Knows a card and the answers of the session's part for data; no widget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from gradiend_ui.engine.answers.checkpoint import Card
from gradiend_ui.engine.answers.data import (
    ChosenData,
    DataSpec,
    GivenData,
    RowCounts,
    RowsReport,
    RunData,
    WordsByClass,
)
from gradiend_ui.engine.sweep.data_report import ALL, chosen_count, default_split, scaled_seconds, splits_of
from gradiend_ui.engine.values import NO_NEUTRAL

OWN, NONE = "#own", "#none"
"""Values of the neutral set's dropdown that are no names of sets: own texts, and no texts at all."""
ROW_WISE = "label"


class OwnRows(TypedDict):
    """What a page keeps of an own table in place of the rows beside the checkpoint; of a run's without the last two."""

    rows: GivenData
    columns: Mapping[str, str] | None
    count_as: NotRequired[Mapping[str, str]]
    row_counts: RowCounts
    classes: list[str]
    target_words: dict[str, list[str]]
    rejected_count: NotRequired[int]
    problem: NotRequired[str | None]


class OwnTexts(TypedDict):
    """Own neutral texts, and how many there are; None for those of a run."""

    neutral: GivenData
    count: int | None


@dataclass(frozen=True)
class Choice:
    """The values of the step, in the order in which listeners receive them.

    own_rows: None for the rows beside the checkpoint. targets: {class: words}, "label" or None.
    """

    own_rows: OwnRows | None
    own_neutral: OwnTexts | None
    targets: WordsByClass | str | None
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


def own_table(rows: GivenData, report: RowsReport, count_as: Mapping[str, str] | None = None) -> OwnRows:
    """What the page keeps of an own table that the session described. count_as: see `DataSpec`."""
    return {
        "rows": rows.copy(),
        "columns": report["columns"],
        "count_as": dict(count_as or {}),
        "row_counts": report["row_counts"],
        "classes": report["classes"],
        "target_words": report["target_words"],
        "rejected_count": report["rejected_count"],
        "problem": report["problem"],
    }


def spec_of(choice: Choice) -> DataSpec:
    """The data part of a sweep's spec."""
    spec: DataSpec = {"split": choice.split or "test"}
    if choice.own_rows is not None:
        spec["rows"] = choice.own_rows["rows"]
        columns = choice.own_rows.get("columns")
        if columns is not None:
            spec["columns"] = columns
        if choice.own_rows.get("count_as"):
            spec["count_as"] = choice.own_rows["count_as"]
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


def data_of(choice: Choice, card: Card) -> ChosenData:
    """What `page.data.chosen` holds: the spec, and about how long one cell takes with it."""
    if is_unusable(choice.own_rows):
        return {"spec": spec_of(choice), "seconds_per_cell": None, "unusable": True}
    usual = chosen_count(card["row_counts"], card["classes"], "test", None)
    usual += card["neutral_sets"].get(card["neutral_set"] or "", usual)
    now = scored_rows(choice, card)
    now += scored_texts(choice, card, now)
    return {"spec": spec_of(choice), "seconds_per_cell": scaled_seconds(card["seconds_per_cell"], usual, now)}


def is_unusable(own: OwnRows | None) -> bool:
    """Whether no row of an own table can be scored (yet)."""
    return own is not None and own.get("problem") is not None


def table_of(choice: Choice, card: Card) -> tuple[RowCounts, Sequence[str]]:
    """(counts, classes) of the rows in use."""
    if choice.own_rows is not None:
        return choice.own_rows.get("row_counts") or [], choice.own_rows.get("classes") or card["classes"]
    return card["row_counts"], card["classes"]


def scored_rows(choice: Choice, card: Card) -> int:
    counts, classes = table_of(choice, card)
    return chosen_count(counts, classes, choice.split or ALL, choice.rows_limit)


def scored_texts(choice: Choice, card: Card, rows: int) -> int:
    """Neutral texts that are scored; without any the rows stand in."""
    if choice.neutral_set == OWN and choice.own_neutral is not None:
        count = int(choice.own_neutral.get("count") or 0)
    else:
        count = int(card["neutral_sets"].get(choice.neutral_set or "", rows))
    return count if choice.neutral_limit is None else min(count, choice.neutral_limit)


def words_of(choice: Choice, card: Card) -> WordsByClass:
    """The words of each class, as far as they are known without asking."""
    if isinstance(choice.targets, Mapping):
        return choice.targets
    table = card if choice.own_rows is None else choice.own_rows
    found: WordsByClass = table.get("target_words") or {}
    return found


def opened_choice(card: Card, data: RunData | None) -> Choice:
    """The choice that a page opens with: the card's, or that of a run (`info["data"]`)."""
    spec: DataSpec = data["spec"] if data else {}
    own_rows: OwnRows | None = None
    if data and "rows" in spec:
        own_rows = {
            "rows": spec["rows"],
            "columns": spec.get("columns"),
            "count_as": spec.get("count_as") or {},
            "row_counts": data["row_counts"],
            "rejected_count": data["rows_left_out"],
            "classes": card["classes"],
            "target_words": data["target_words"],
        }
    own_neutral: OwnTexts | None = {"neutral": spec["neutral"], "count": None} if "neutral" in spec else None
    neutral_set = OWN if own_neutral else spec.get("neutral_set") or (None if data else card["neutral_set"])
    known = neutral_set in (OWN, *card["neutral_sets"])
    splits = splits_of(card["row_counts"], card["classes"])
    return Choice(
        own_rows=own_rows,
        own_neutral=own_neutral,
        targets=spec.get("targets"),
        neutral_set=neutral_set if known else NONE,
        split=spec.get("split") or default_split(splits),
        max_rows=spec.get("max_rows"),
        max_neutral=spec.get("max_neutral"),
    )


def splits(choice: Choice, card: Card) -> dict[str, int]:
    """{split: rows} to choose from, "all" at the end; the chosen one is always there."""
    counts, classes = table_of(choice, card)
    found = splits_of(counts, classes)
    return found if choice.split in (None, *found) else {str(choice.split): 0, **found}


def name_of(given: GivenData) -> str | None:
    """The name of an upload; None for rows or texts that a script gave."""
    return given.get("name") if "upload" in given else None
