"""Tables that a script brings: rows and texts of one call of `evaluate_decoder`, and what is said of rows left out.

Knows tables and words; scores nothing and chooses no split.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from gradiend_ui.engine.data.columns import words_by_class
from gradiend_ui.engine.data.neutral_texts import check_neutral
from gradiend_ui.engine.data.notes import Note
from gradiend_ui.engine.data.roles import COLUMNS
from gradiend_ui.engine.data.rows import (
    EvalRow,
    RejectedRow,
    Table,
    cell_text,
    check_rows,
    read_table,
    read_whole,
    require_rows,
)
from gradiend_ui.engine.data.spelling import class_name, same_class, same_column, suggested_class
from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.scoring.targets import ClassTargets

log = logging.getLogger(__name__)
MAX_LISTED = 10
NAMED_ROWS = 5
"""Classes that a sentence names, and numbers of rows for each reason."""


def tell_left_out(what: str, rejected: Sequence[RejectedRow], kept: int) -> None:
    """Log how many rows are left out, why, and which: nothing is lost in silence."""
    if not rejected:
        return
    by_reason: dict[str, list[int]] = {}
    for row in rejected:
        by_reason.setdefault(row.reason, []).append(row.number + 1)
    reasons = "; ".join(
        f"{len(numbers)} because {reason} (row {', '.join(map(str, numbers[:NAMED_ROWS]))}"
        f"{', ...' if len(numbers) > NAMED_ROWS else ''})"
        for reason, numbers in sorted(by_reason.items(), key=lambda item: -len(item[1]))
    )
    log.warning("%s: %d of %d rows are left out: %s.", what, len(rejected), len(rejected) + kept, reasons)


def tell_notes(what: str, notes: Iterable[Note | str], told: set[str] | None = None) -> None:
    """Log how a table was read, where that was not as it should be. told: what was logged before, and is not again."""
    for note in notes:
        _tell(f"{what}: {note}", told)


def tell_other_classes(rows: Sequence[EvalRow], kept: Sequence[str], why: str, told: set[str] | None = None) -> None:
    """Log how many rows are of other classes than those that are kept, which these are, and what brings them back.

    why: what the other classes are, such as "that the GRADIEND does not know".
    """
    between = frozenset(kept)
    named = [{row.label_class, row.alternative_class} - between for row in rows]
    lost = sum(map(bool, named))
    if not lost or lost == len(rows):
        return
    counted = Counter(name for names in named for name in sorted(names))
    words = words_by_class([row for row, names in zip(rows, named, strict=True) if not names])
    listing = ", ".join(f"{name} ({count})" for name, count in counted.most_common(MAX_LISTED))
    listing += ", ..." if len(counted) > MAX_LISTED else ""
    _tell(
        f"The data: {lost} of {len(rows)} rows are of classes {why} and are left out: {listing}. Where one means a "
        f"class of {', '.join(kept)}, say so with {_merging(list(counted), kept, words)} (in the API: count_as).",
        told,
    )


def _merging(others: Sequence[str], kept: Sequence[str], words: Mapping[str, Sequence[str]]) -> str:
    """A class_merge_map with which the other classes count as what they most likely mean."""
    merged = {name: [name] for name in kept}
    for other in others[:MAX_LISTED]:
        likely = suggested_class(other, kept, words)
        if likely is not None:
            merged[likely].append(other)
    if all(len(names) == 1 for names in merged.values()):
        merged[kept[0]].append(others[0])
    return f"class_merge_map={merged}"


def _tell(sentence: str, told: set[str] | None) -> None:
    if told is None or sentence not in told:
        log.warning("%s", sentence)
    if told is not None:
        told.add(sentence)


def own_rows(table: Table, targets: ClassTargets) -> tuple[EvalRow, ...]:
    """The rows of `training_like_df`: our columns or the reference's, whose `label` is a number beside `factual`.

    Only the text and its class are needed where each class has its words: without a column of labels each row takes a
    word of its class, without one of alternatives a word of another class. No probability depends on either then.
    Raises BadData when a column is missing that is needed.
    """
    read = read_whole(table)
    table = read.frame
    have = list(map(str, table.columns))
    columns = {"label": "factual"} if "factual" in have else {}
    names = {role: _column(role, columns, have) for role in COLUMNS}
    filled = table
    if names["label_class"] is not None:
        for role, words in _words_of(table[names["label_class"]], names, targets).items():
            filled = filled.assign(**{role: words})
            columns[role] = role
    data = require_rows(check_rows(filled, columns))
    tell_notes("training_like_df", (*read.notes, *data.notes))
    tell_left_out("training_like_df", data.rejected, len(data.rows))
    return data.rows


def names_labels(table: Table) -> bool:
    """Whether each row says its own word, so that its text can be filled in."""
    return _column("label", {}, list(map(str, read_table(table).columns))) is not None


def _column(role: str, given: Mapping[str, str], have: Sequence[str]) -> str | None:
    spellings = (given[role],) if role in given else COLUMNS[role]
    return next((name for wanted in spellings if (name := same_column(wanted, have))), None)


def _words_of(classes: pd.Series, names: Mapping[str, str | None], targets: ClassTargets) -> dict[str, list[str]]:
    """The columns that the table lacks, filled from the classes' words; none where the rows have to say them."""
    missing = [role for role in ("label", "alternative", "alternative_class") if names[role] is None]
    if not missing:
        return {}
    if targets.words is None:
        raise BadData(
            f"training_like_df has no column for {missing[0]}: the rows are scored one by one, each by its own two "
            "words, so that each must name them."
        )
    words = {name: own[0] for name, own in targets.words.items()}
    own = [same_class(class_name(cell_text(name)), words) for name in classes]
    other = {name: next((one for one in words if one != name), name) for name in own}
    found = {
        "label": [words.get(name, next(iter(words.values()))) for name in own],
        "alternative": [words[other[name]] for name in own],
        "alternative_class": [other[name] for name in own],
    }
    return {role: found[role] for role in missing}


def filled_texts(table: pd.DataFrame | Sequence[str], mask_token: str | None) -> tuple[str, ...]:
    """The column `text`; without one, `masked` with the row's token where the tokenizer's mask token stands."""
    if not isinstance(table, pd.DataFrame) or ("text" in table.columns and not table["text"].isnull().any()):
        return _texts_of(table)
    if "masked" not in table.columns:
        return _texts_of(table)
    token = next((name for name in ("factual", "label", "alternative") if name in table.columns), None)
    if token is None or mask_token is None:
        return tuple(str(text) for text in table["masked"])
    pairs = zip(table["masked"], table[token], strict=True)
    return tuple(str(text).replace(mask_token, str(word), 1) for text, word in pairs)


def _texts_of(table: Table | Sequence[str]) -> tuple[str, ...]:
    found = check_neutral(table, keep_empty=True)
    tell_notes("neutral_df", found.notes)
    return found.texts
