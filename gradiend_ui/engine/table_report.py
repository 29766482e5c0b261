"""What is told of a table of evaluation rows for one GRADIEND: how it was read, what can be scored, which words it has.

The same in the process that sweeps, for small tables, and in one of their own, for those that take their time (see
`table_tasks`). Knows tables, rows and directions of classes; imports no torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gradiend_ui.engine.class_names import of_known_classes, ordered_classes, words_by_class
from gradiend_ui.engine.column_guess import guess_columns
from gradiend_ui.engine.data_report import first_checked, first_rows, rows_found
from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.eval_data import EvalData, check_rows, require_rows
from gradiend_ui.engine.row_counts import count_rows
from gradiend_ui.engine.table_reading import ReadTable

SUMMARY_WORDS = 8


def report_table(
    read: ReadTable, given: Mapping[str, str] | None, direction: Mapping[str, float], known: Sequence[str]
) -> dict[str, Any]:
    """How the table was read, which columns are which, what can be scored.

    given: the columns as a spec names them, None to guess them. direction: of the classes that the checkpoint knows.
    known: words of the rows beside it, for guessing. A table that cannot be scored (yet) has its reason in "problem",
    and as pages tell it in "problem_text".
    """
    whole = read.frame.drop(index=list(read.damaged))
    guess = guess_columns(whole, direction, known)
    columns = dict(given) if given is not None else dict(guess.columns)
    told = {
        "own": True,
        "kind": read.kind,
        "encoding": read.encoding,
        "delimiter": read.delimiter,
        "table_rows": len(read.frame),
        "table_columns": [str(name) for name in read.frame.columns],
        "columns": columns,
        "how": {} if given is not None else dict(guess.how),
        "first": first_rows(read),
    }
    try:
        data = check_rows(read, columns, fill_alternatives=True)
    except BadData as error:
        problem = _problem(error)
        return {**told, **rows_found(EvalData(())), **problem, "classes": [], "target_words": {}}
    return report_rows(data, direction, told)


def report_rows(data: EvalData, direction: Mapping[str, float], told: Mapping[str, Any]) -> dict[str, Any]:
    """The same for checked rows; told: what is known of their table."""
    problem: dict[str, Any] = {"problem": None}
    try:
        classes = list(ordered_classes(direction, of_known_classes(direction, require_rows(data))))
        data.chosen("all", classes)  # rows between the classes: else there is nothing to score
    except BadData as error:
        classes, problem = [], _problem(error)
    first = {} if "first" in told else {"first": first_checked(data)}
    words = summary(data, direction)["target_words"]
    return {**told, **first, **rows_found(data), "classes": classes, "target_words": words, **problem}


def summary(
    data: EvalData, direction: Mapping[str, float], words: Mapping[str, Sequence[str]] | None = None
) -> dict[str, Any]:
    """How many rows of which kind, and a few words of each class (its `words` as given, else those of the rows)."""
    if words is None:
        held = words_by_class(data.rows)
        try:
            words = {name: held.get(name, ()) for name in ordered_classes(direction, data)}
        except BadData:
            words = {}
    return {
        "row_counts": count_rows(data.rows),
        "target_words": {name: _casings_once(own)[:SUMMARY_WORDS] for name, own in words.items()},
    }


def _casings_once(words: Sequence[str]) -> list[str]:
    """Each word once, whatever its casing, for a summary; the lower one is told."""
    kept: dict[str, str] = {}
    for word in words:
        known = kept.get(word.lower())
        kept[word.lower()] = word if known is None else max(known, word)
    return sorted(kept.values())


def _problem(error: BadData) -> dict[str, Any]:
    """The same whether it is read here or comes from a process of its own."""
    return {"problem": str(error), "problem_text": json.loads(json.dumps(error.text))}
