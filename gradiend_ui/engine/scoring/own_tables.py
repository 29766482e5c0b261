"""Tables that a script brings: rows and texts of one call of `evaluate_decoder`, and what is said of rows left out.

Knows tables and words; scores nothing and chooses no split.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import pandas as pd

from gradiend_ui.engine.data.neutral_texts import read_neutral
from gradiend_ui.engine.data.roles import COLUMNS
from gradiend_ui.engine.data.rows import EvalRow, RejectedRow, Table, cell_text, check_rows, read_table, require_rows
from gradiend_ui.engine.data.spelling import class_name, same_class, same_column
from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.scoring.targets import ClassTargets

log = logging.getLogger(__name__)
NAMED_ROWS = 5
"""Numbers of rows that a sentence names for each reason."""


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


def own_rows(table: Table, targets: ClassTargets) -> tuple[EvalRow, ...]:
    """The rows of `training_like_df`: our columns or the reference's, whose `label` is a number beside `factual`.

    Only the text and its class are needed where each class has its words: without a column of labels each row takes a
    word of its class, without one of alternatives a word of another class. No probability depends on either then.
    Raises BadData when a column is missing that is needed.
    """
    table = read_table(table)
    have = list(map(str, table.columns))
    columns = {"label": "factual"} if "factual" in have else {}
    names = {role: _column(role, columns, have) for role in COLUMNS}
    filled = table
    if names["label_class"] is not None:
        for role, words in _words_of(table[names["label_class"]], names, targets).items():
            filled = filled.assign(**{role: words})
            columns[role] = role
    data = require_rows(check_rows(filled, columns))
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
        return read_neutral(table, keep_empty=True)
    if "masked" not in table.columns:
        return read_neutral(table, keep_empty=True)
    token = next((name for name in ("factual", "label", "alternative") if name in table.columns), None)
    if token is None or mask_token is None:
        return tuple(str(text) for text in table["masked"])
    pairs = zip(table["masked"], table[token], strict=True)
    return tuple(str(text).replace(mask_token, str(word), 1) for text, word in pairs)
