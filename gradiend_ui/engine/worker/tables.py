"""Tables of evaluation rows in the worker: how one was read, what can be scored, which words it has.

Small tables are reported in the process that sweeps, those that take their time in one of their own: the functions that
take a path are called there by name, through `confined.TASKS`, with plain JSON-like values in and out, and `rows_from`
and `companions_from` turn the answers into what the process that sweeps works with. Knows tables, rows and directions
of classes; imports no torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from gradiend_ui.engine.answers.data import RowsReport, RowsSummary, TableRead
from gradiend_ui.engine.answers.data import UnknownClass as UnknownClassTold
from gradiend_ui.engine.checkpoint.companions import Companions, find_companions
from gradiend_ui.engine.data.columns import (
    UnknownClass,
    counted_as,
    directed_classes,
    guess_columns,
    known_classes_only,
    of_known_classes,
    ordered_classes,
    unknown_classes,
    words_by_class,
)
from gradiend_ui.engine.data.neutral_texts import NeutralData, check_neutral
from gradiend_ui.engine.data.notes import notes_from
from gradiend_ui.engine.data.rows import EvalData, EvalRow, RejectedRow, check_rows, read_rows, require_rows
from gradiend_ui.engine.data.table_reading import ReadTable, read_file
from gradiend_ui.engine.data.uploaded_tables import read_upload
from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.files.text_limit import keep_text
from gradiend_ui.engine.sweep.data_report import (
    count_rows,
    first_checked,
    first_rows,
    rejected_csv,
    rows_found,
    samples,
)
from gradiend_ui.engine.uploads.trust import Trust

SUMMARY_WORDS = 8


def report_table(
    read: ReadTable,
    given: Mapping[str, str] | None,
    direction: Mapping[str, float],
    words: Mapping[str, Sequence[str]],
    count_as: Mapping[str, str] | None = None,
) -> RowsReport:
    """How the table was read, which columns are which, what can be scored.

    given: the columns as a spec names them, None to guess them. direction: of the classes that the checkpoint knows.
    words: {class: words of the rows beside it}, for guessing. count_as: what classes of the table count as, see
    `DataChoice`. A table that cannot be scored (yet) has its reason in "problem", and as pages tell it in
    "problem_text".
    """
    whole = read.frame.drop(index=list(read.damaged))
    guess = guess_columns(whole, direction, [word for own in words.values() for word in own])
    columns = dict(given) if given is not None else dict(guess.columns)
    told: TableRead = {
        "own": True,
        "kind": read.kind,
        "encoding": read.encoding,
        "delimiter": read.delimiter,
        "table_rows": len(read.frame),
        "table_columns": [str(name) for name in read.frame.columns],
        "columns": columns,
        "how": {} if given is not None else dict(guess.how),
        "first": first_rows(read),
        "unknown_classes": _unknown(unknown_classes(whole, columns, direction, count_as, words)),
        "known_classes": directed_classes(direction) or list(direction),
        "samples": samples(read),
    }
    try:
        checked = check_rows(read, columns, fill_alternatives=True, classes=counted_as(direction, count_as))
        data = known_classes_only(direction, checked)
    except BadData as error:
        found = rows_found(EvalData((), notes=read.notes))
        nothing: RowsSummary = {"row_counts": [], "target_words": {}}
        problem = {"problem": str(error), "problem_text": _text(error)}
        return cast(RowsReport, {**told, **found, **nothing, "classes": [], **problem})
    report = report_rows(data, direction, told)
    try:
        of_known_classes(direction, require_rows(checked))
    except BadData as error:  # says more than that no row is left
        report["problem"], report["problem_text"] = str(error), _text(error)
    return report


def _unknown(found: Sequence[UnknownClass]) -> list[UnknownClassTold]:
    return [
        {"name": one.name, "count": one.count, "counts_as": one.counts_as, "suggested": one.suggested} for one in found
    ]


def report_rows(data: EvalData, direction: Mapping[str, float], told: TableRead | None = None) -> RowsReport:
    """The same for checked rows; told: what is known of their table, None for those beside the checkpoint."""
    problem: BadData | None = None
    try:
        classes = list(ordered_classes(direction, of_known_classes(direction, require_rows(data))))
        data.chosen("all", classes)  # rows between the classes: else there is nothing to score
    except BadData as error:
        classes, problem = [], error
    found = rows_found(data)
    report: RowsReport = {
        "own": False,
        "first": [],
        "rows": found["rows"],
        "rejected_count": found["rejected_count"],
        "rejected": found["rejected"],
        "dropped": found["dropped"],
        "row_counts": found["row_counts"],
        "notes": found["notes"],
        "notes_text": found["notes_text"],
        "classes": classes,
        "target_words": summary(data, direction)["target_words"],
        "problem": None,
    }
    if told is None:
        report["first"] = first_checked(data)
    else:
        report = {**report, **told}
    if problem is not None:
        report["problem"], report["problem_text"] = str(problem), _text(problem)
    return report


def summary(
    data: EvalData, direction: Mapping[str, float], words: Mapping[str, Sequence[str]] | None = None
) -> RowsSummary:
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


def _text(error: BadData) -> object:
    """As a page words it; the same whether it is read here or comes from a process of its own."""
    text: object = json.loads(json.dumps(error.text))
    return text


Columns = Mapping[str, str]
ROW = tuple(field.name for field in fields(EvalRow))


def report_table_file(
    path: Path,
    given: Columns | None,
    direction: Mapping[str, float],
    words: Mapping[str, Sequence[str]],
    count_as: Mapping[str, str] | None = None,
    encoding: str | None = None,
) -> RowsReport:
    """`report_table` of the table that lies there."""
    return report_table(read_upload(path, encoding), given, direction, words, count_as)


def rejected_rows(
    path: Path,
    given: Columns | None,
    direction: Mapping[str, float],
    count_as: Mapping[str, str] | None = None,
    encoding: str | None = None,
) -> str:
    """Every row of the table that cannot be scored, as csv."""
    return rejected_of(read_upload(path, encoding), given, direction, count_as)


def rejected_of(
    read: ReadTable, given: Columns | None, direction: Mapping[str, float], count_as: Mapping[str, str] | None
) -> str:
    """The same of a table that was read."""
    data = check_rows(read, given, fill_alternatives=True, classes=counted_as(direction, count_as))
    return rejected_csv(known_classes_only(direction, data).rejected, read)


def checked_rows(
    path: Path, given: Columns, classes: Mapping[str, str] = MappingProxyType({}), encoding: str | None = None
) -> dict[str, Any]:
    """The checked rows of an uploaded table, for `rows_from`."""
    return _plain(read_rows(read_upload(path, encoding), given, fill_alternatives=True, classes=classes))


def neutral_texts(path: Path, encoding: str | None = None) -> dict[str, Any]:
    """The neutral texts of an uploaded table or text file, for `neutral_from`."""
    data = check_neutral(read_upload(path, encoding))
    return {"texts": list(data.texts), "notes": [note.to_json() for note in data.notes], "encoding": data.encoding}


def neutral_from(plain: Mapping[str, Any]) -> NeutralData:
    """Neutral texts from what the child gave."""
    return NeutralData(tuple(plain["texts"]), notes_from(plain["notes"]), plain["encoding"])


def companions(path: Path, source: str | None, homes: Sequence[str]) -> dict[str, Any]:
    """What lies beside a stranger's checkpoint (see `companions.find_companions`), for `companions_from`.

    homes: the folders that may be looked into.
    """
    trust = Trust(public=True, homes=tuple(map(Path, homes)))
    found = find_companions(path, source, trust, read=_read_and_kept)
    return {
        "rows": None if found.rows is None else _plain(found.rows),
        "neutral": {name: list(texts) for name, texts in found.neutral.items()},
        "neutral_set": found.neutral_set,
        "examples": list(found.examples),
        "warnings": list(found.warnings),
        "recovered": found.recovered,
    }


def rows_from(plain: Mapping[str, Any]) -> EvalData:
    """Checked rows from what the child gave."""
    return EvalData(
        tuple(EvalRow(*row) for row in plain["rows"]),
        tuple(RejectedRow(number, notes_from([why])[0], kind) for number, why, kind in plain["rejected"]),
        notes_from(plain["notes"]),
    )


def companions_from(plain: Mapping[str, Any]) -> Companions:
    """What lies beside a checkpoint from what the child gave."""
    return Companions(
        rows=None if plain["rows"] is None else rows_from(plain["rows"]),
        neutral={name: tuple(texts) for name, texts in plain["neutral"].items()},
        neutral_set=plain["neutral_set"],
        examples=tuple(plain["examples"]),
        warnings=tuple(plain["warnings"]),
        recovered=bool(plain["recovered"]),
    )


def _read_and_kept(path: Path) -> ReadTable:
    """A table whose text counts with that of the others. Raises BadData, TooLarge."""
    table = read_file(path)
    keep_text(table.text_bytes)
    return table


def _plain(data: EvalData) -> dict[str, Any]:
    return {
        "rows": [[getattr(row, name) for name in ROW] for row in data.rows],
        "rejected": [[row.number, row.why.to_json(), row.kind] for row in data.rejected],
        "notes": [note.to_json() for note in data.notes],
    }
