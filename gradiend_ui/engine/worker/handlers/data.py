"""Requests about data before a sweep: what a table holds, what words resolve to, how wide a threshold is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gradiend_ui.engine.answers.data import NeutralReport, RowsReport, RowsSummary, TargetsReport, UnknownClass
from gradiend_ui.engine.data.columns import words_by_class
from gradiend_ui.engine.data.rows import EvalData, as_read
from gradiend_ui.engine.data.table_reading import ReadTable
from gradiend_ui.engine.data.uploaded_tables import told_by_name
from gradiend_ui.engine.errors import BadGrid, shown
from gradiend_ui.engine.scoring.target_report import report_words
from gradiend_ui.engine.scoring.targets import resolve_targets as resolve
from gradiend_ui.engine.sweep.data_report import first_texts, measure_neutral, rejected_csv
from gradiend_ui.engine.sweep.known_cells import table_of
from gradiend_ui.engine.sweep.plan import class_order
from gradiend_ui.engine.sweep.spec import DataChoice, Table
from gradiend_ui.engine.worker.data import source_of
from gradiend_ui.engine.worker.health_card import Loaded
from gradiend_ui.engine.worker.requests import DescribeNeutral, DescribeRows, RejectedRows, ResolveTargets
from gradiend_ui.engine.worker.resources import Resources
from gradiend_ui.engine.worker.tables import rejected_of, report_rows, report_table, summary


def data_facts(loaded: Loaded) -> RowsSummary:
    """`rows_summary` of the rows beside the checkpoint, for its card."""
    return rows_summary(loaded, loaded.companions.rows or EvalData(()))


def rows_summary(loaded: Loaded, data: EvalData, words: Mapping[str, Sequence[str]] | None = None) -> RowsSummary:
    """How many rows of which kind, and a few words of each class (its `words` as given, else those of the rows)."""
    return summary(data, loaded.model.checkpoint.known_classes, words)


def describe_rows(resources: Resources, request: DescribeRows) -> RowsReport:
    """Columns that were not named are guessed. A table that cannot be scored (yet) has its reason in "problem"; what
    cannot be read at all raises BadData or TooLarge."""
    loaded, data = resources.checkpoint(request.checkpoint), request.data
    direction = loaded.model.checkpoint.known_classes
    if data.rows is None:
        return report_rows(resources.data.rows(loaded, data), direction)
    words = data_facts(loaded)["target_words"]
    source = table_of(resources.store, data.rows, "rows")
    with told_by_name(source):
        path = resources.data.slow_upload(source)
        if path is None:
            return report_table(_read(resources, source), data.columns, direction, words, data.count_as)
        told: RowsReport = resources.beside.value(
            "report_table",
            path,
            given=data.columns,
            direction=direction,
            words=words,
            count_as=data.count_as,
            encoding=source.get("encoding"),
        )
        return told


def unknown_in(resources: Resources, checkpoint: str, data: DataChoice) -> list[UnknownClass]:
    """The classes of chosen rows that the checkpoint does not know; none of those that lie beside it. Raises as
    `describe_rows` does."""
    if data.rows is None:
        return []
    return describe_rows(resources, DescribeRows(checkpoint, data)).get("unknown_classes", [])


def rejected_rows(resources: Resources, request: RejectedRows) -> str:
    """Raises as `describe_rows` does."""
    loaded, data = resources.checkpoint(request.checkpoint), request.data
    if data.rows is None:
        return rejected_csv(resources.data.rows(loaded, data).rejected, None)
    source = table_of(resources.store, data.rows, "rows")
    direction = loaded.model.checkpoint.known_classes
    with told_by_name(source):
        path = resources.data.slow_upload(source)
        if path is not None:
            encoding = source.get("encoding")
            rejected = resources.beside.value(
                "rejected_rows",
                path,
                given=data.columns,
                direction=direction,
                count_as=data.count_as,
                encoding=encoding,
            )
            return str(rejected)
        return rejected_of(_read(resources, source), data.columns, direction, data.count_as)


def resolve_targets(resources: Resources, request: ResolveTargets) -> TargetsReport:
    """Raises BadData where a class has no word."""
    loaded = resources.checkpoint(request.checkpoint)
    data, given = resources.data.rows(loaded, request.asked.data), request.asked.spec.targets
    names = class_order(loaded.model, data)
    targets = resolve(data.rows, names, given)
    held = words_by_class(data.rows)
    own = None if targets.words is None or not isinstance(given, Mapping) else targets.words
    words = {name: list(held.get(name, ()) if own is None else own[name]) for name in names}
    looked_up = report_words(loaded.model.base, words)
    return {
        "mode": "rows" if given is None else "label" if given == "label" else "own",
        "row_wise": targets.row_wise,
        "words": words,
        "classes": [
            {
                "name": name,
                "words": [word.to_json() for word in looked_up[name]],
                "more": len(words[name]) - sum(len(word.spellings) for word in looked_up[name]),
            }
            for name in names
        ],
    }


def describe_neutral(resources: Resources, request: DescribeNeutral) -> NeutralReport:
    """What `measure_neutral` tells of the texts and rows; "name": of the set.

    Raises BadData where the rows or texts cannot be scored, BadGrid for a share outside of (0, 1].
    """
    loaded, asked, ratio = resources.checkpoint(request.checkpoint), request.asked, request.ratio
    if isinstance(ratio, bool) or not isinstance(ratio, (int, float)) or not 0.0 < ratio <= 1.0:
        raise BadGrid(f"ratio must be a number above 0 and at most 1, not {shown(ratio)}.")
    if asked.spec.feature_factors is None:  # no cell is scored: nothing has to be known of directions
        asked = replace(asked, spec=replace(asked.spec, feature_factors=(1.0,)))
    resources.check_extent(loaded, asked, request.most)
    plan = resources.prepared(loaded, asked)
    base = loaded.workspace.in_precision(asked.spec.precision).base_model
    own, of_rows = resources.data.own_neutral(asked.data), set(map(str, resources.data.rows(loaded, asked.data).notes))
    measured = measure_neutral(plan, base, resources.store, float(ratio), seconds=request.seconds)
    measured["warnings"] = [told for told in measured["warnings"] if told not in of_rows]  # these stand with the rows
    return {
        "name": resources.data.neutral_name(loaded, asked.data),
        "ratio": ratio,
        "first": [] if own is None else first_texts(own.texts),
        "encoding": None if own is None else own.encoding,
        "notes": [] if own is None else [note.sentence for note in own.notes],
        "notes_text": [] if own is None else [note.to_json()[1:] for note in own.notes],
        **measured,
    }


def _read(resources: Resources, given: Table) -> ReadTable:
    """The rows as they were chosen (see `SweepData.resolved`)."""
    if isinstance(given, Mapping) and "upload" in given:
        return resources.data.read_upload(given)
    return as_read(source_of(given))
