"""Requests about data before a sweep: what a table holds, what words resolve to, how wide a threshold is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradiend_ui.engine.answers.data import NeutralReport, RowsReport, RowsSummary, TargetsReport
from gradiend_ui.engine.data.columns import words_by_class
from gradiend_ui.engine.data.rows import EvalData, as_read, check_rows
from gradiend_ui.engine.data.table_reading import ReadTable
from gradiend_ui.engine.data.uploaded_tables import told_by_name
from gradiend_ui.engine.errors import BadGrid
from gradiend_ui.engine.files.json_files import shown
from gradiend_ui.engine.scoring.target_report import report_words
from gradiend_ui.engine.scoring.targets import resolve_targets as resolve
from gradiend_ui.engine.sweep.data_report import measure_neutral, rejected_csv
from gradiend_ui.engine.sweep.plan import class_order
from gradiend_ui.engine.values import spec_from_mapping
from gradiend_ui.engine.worker.bench import Bench, asked_options, columns_of, source_of
from gradiend_ui.engine.worker.health_card import Loaded
from gradiend_ui.engine.worker.tables import report_rows, report_table, summary


def data_facts(loaded: Loaded) -> RowsSummary:
    """`rows_summary` of the rows beside the checkpoint, for its card."""
    return rows_summary(loaded, loaded.companions.rows or EvalData(()))


def rows_summary(loaded: Loaded, data: EvalData, words: Mapping[str, Sequence[str]] | None = None) -> RowsSummary:
    """How many rows of which kind, and a few words of each class (its `words` as given, else those of the rows)."""
    return summary(data, loaded.model.encoding_direction, words)


def describe_rows(bench: Bench, request: Mapping[str, Any]) -> RowsReport:
    """{checkpoint, spec} -> how the rows of the spec were read, which columns are which, what can be scored.

    Columns that the spec does not name are guessed. A table that cannot be scored (yet) has its reason in "problem";
    what cannot be read at all raises BadData or TooLarge.
    """
    loaded = bench.checkpoint(str(request["checkpoint"]))
    direction = loaded.model.encoding_direction
    _, options = asked_options(request["spec"])
    if options.get("rows") is None:
        return report_rows(bench.rows(loaded, options), direction)
    given = columns_of(options)
    known = [word for words in data_facts(loaded)["target_words"].values() for word in words]
    source = bench.given(options, "rows")
    with told_by_name(source):
        path = bench.slow_upload(source)
        if path is None:
            return report_table(_read(bench, source), given, direction, known)
        told: RowsReport = bench.beside.value("report_table", path, given=given, direction=direction, known=known)
        return told


def rejected_rows(bench: Bench, request: Mapping[str, Any]) -> str:
    """{checkpoint, spec} -> every row of the spec that cannot be scored, as csv."""
    loaded = bench.checkpoint(str(request["checkpoint"]))
    _, options = asked_options(request["spec"])
    if options.get("rows") is None:
        return rejected_csv(bench.rows(loaded, options).rejected, None)
    source = bench.given(options, "rows")
    with told_by_name(source):
        path = bench.slow_upload(source)
        if path is not None:
            return str(bench.beside.value("rejected_rows", path, given=columns_of(options)))
        read = _read(bench, source)
        return rejected_csv(check_rows(read, columns_of(options), fill_alternatives=True).rejected, read)


def resolve_targets(bench: Bench, request: Mapping[str, Any]) -> TargetsReport:
    """{checkpoint, spec} -> {"mode": "rows", "own" or "label", "row_wise", "classes": [{name, words, more}], "words"}.

    words: {class: all of its words}, as a spec takes them; more: how many of them were not looked up. Raises BadData.
    """
    loaded = bench.checkpoint(str(request["checkpoint"]))
    options, data_options = asked_options(request["spec"])
    data, given = bench.rows(loaded, data_options), spec_from_mapping(options).targets
    names = class_order(loaded.model, data)
    targets = resolve(data.rows, names, given)
    held = words_by_class(data.rows)
    words = {name: list(given[name] if isinstance(given, Mapping) else held.get(name, ())) for name in names}
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


def describe_neutral(bench: Bench, request: Mapping[str, Any]) -> NeutralReport:
    """{checkpoint, spec, ratio, most?, seconds?} -> what `measure_neutral` tells of the spec's texts and rows; "name":
    of the set. most: as for a sweep; seconds: of scoring, for this request.

    Raises BadData where the rows or texts cannot be scored, BadGrid for a share outside of (0, 1].
    """
    loaded = bench.checkpoint(str(request["checkpoint"]))
    ratio = request["ratio"]
    if isinstance(ratio, bool) or not isinstance(ratio, (int, float)) or not 0.0 < ratio <= 1.0:
        raise BadGrid(f"ratio must be a number above 0 and at most 1, not {shown(ratio)}.")
    options, data_options = asked_options(request["spec"])
    spec = spec_from_mapping({"feature_factors": [1.0], **options})
    bench.check_extent(loaded, spec, data_options, request.get("most") or {})
    plan = bench.prepared(loaded, spec, data_options)
    name = bench.neutral_name(loaded, data_options)
    base = loaded.workspace.in_precision(spec.precision).base_model
    return {
        "name": name,
        "ratio": ratio,
        **measure_neutral(plan, base, bench.store, float(ratio), seconds=request.get("seconds")),
    }


def _read(bench: Bench, given: Any) -> ReadTable:
    """The rows as a spec gives them (see `Bench.given`)."""
    if isinstance(given, Mapping) and "upload" in given:
        return bench.read_upload(given["upload"])
    return as_read(source_of(given))
