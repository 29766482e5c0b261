"""Requests about data before a sweep: what a table holds, what words resolve to, how wide a threshold is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradiend_ui.engine.bench import Bench, source_of, split_options, with_known_classes
from gradiend_ui.engine.column_guess import guess_columns
from gradiend_ui.engine.data_report import first_checked, first_rows, measure_neutral, rejected_csv, rows_found
from gradiend_ui.engine.errors import BadData, BadGrid
from gradiend_ui.engine.eval_data import EvalData, as_read, check_rows, require_rows
from gradiend_ui.engine.health_card import Loaded
from gradiend_ui.engine.plan import class_order
from gradiend_ui.engine.row_counts import count_rows
from gradiend_ui.engine.table_reading import ReadTable
from gradiend_ui.engine.target_report import report_words
from gradiend_ui.engine.targets import resolve_targets as resolve
from gradiend_ui.engine.targets import words_of
from gradiend_ui.engine.values import spec_from_mapping

SUMMARY_WORDS = 8


def data_facts(loaded: Loaded) -> dict[str, Any]:
    """`rows_summary` of the rows beside the checkpoint, for its card."""
    return rows_summary(loaded, loaded.companions.rows or EvalData(()))


def rows_summary(loaded: Loaded, data: EvalData, words: Mapping[str, Sequence[str]] | None = None) -> dict[str, Any]:
    """How many rows of which kind, and a few words of each class (its `words` as given, else those of the rows)."""
    try:
        names = class_order(loaded.model, data)
    except BadData:
        names = ()
    of_class = {name: words_of(name, data.rows) for name in names} if words is None else words
    return {
        "row_counts": count_rows(data.rows),
        "target_words": {name: _casings_once(own)[:SUMMARY_WORDS] for name, own in of_class.items()},
    }


def describe_rows(bench: Bench, request: Mapping[str, Any]) -> dict[str, Any]:
    """{checkpoint, spec} -> how the rows of the spec were read, which columns are which, what can be scored.

    Columns that the spec does not name are guessed. A table that cannot be scored (yet) has its reason in "problem";
    what cannot be read at all raises BadData or TooLarge.
    """
    loaded = bench.checkpoint(str(request["checkpoint"]))
    _, options = split_options(request["spec"])
    if options.get("rows") is None:
        return _described(loaded, bench.rows(loaded, options), {"own": False})
    read = _read(bench, options)
    given = options.get("columns")
    known = data_facts(loaded)["target_words"].values()
    whole = read.frame.drop(index=list(read.damaged))
    guess = guess_columns(whole, loaded.model.encoding_direction, [word for words in known for word in words])
    columns = dict(given) if given is not None else dict(guess.columns)
    how = {} if given is not None else dict(guess.how)
    told = {
        "own": True,
        "kind": read.kind,
        "encoding": read.encoding,
        "delimiter": read.delimiter,
        "table_rows": len(read.frame),
        "table_columns": [str(name) for name in read.frame.columns],
        "columns": columns,
        "how": how,
        "first": first_rows(read),
    }
    try:
        data = check_rows(read, columns, fill_alternatives=True)
    except BadData as error:
        return {**told, **rows_found(EvalData(())), "problem": str(error), "classes": [], "target_words": {}}
    return _described(loaded, data, told)


def rejected_rows(bench: Bench, request: Mapping[str, Any]) -> str:
    """{checkpoint, spec} -> every row of the spec that cannot be scored, as csv."""
    loaded = bench.checkpoint(str(request["checkpoint"]))
    _, options = split_options(request["spec"])
    if options.get("rows") is None:
        return rejected_csv(bench.rows(loaded, options).rejected, None)
    read = _read(bench, options)
    return rejected_csv(check_rows(read, options.get("columns"), fill_alternatives=True).rejected, read)


def resolve_targets(bench: Bench, request: Mapping[str, Any]) -> dict[str, Any]:
    """{checkpoint, spec} -> {"mode": "rows", "own" or "label", "row_wise", "classes": [{name, words, more}], "words"}.

    words: {class: all of its words}, as a spec takes them; more: how many of them were not looked up. Raises BadData.
    """
    loaded = bench.checkpoint(str(request["checkpoint"]))
    options, data_options = split_options(request["spec"])
    data, given = bench.rows(loaded, data_options), spec_from_mapping(options).targets
    names = class_order(loaded.model, data)
    targets = resolve(data.rows, names, given)
    from_rows = {name: list(words_of(name, data.rows)) for name in names}
    words = from_rows if not isinstance(given, Mapping) else {name: list(given[name]) for name in names}
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


def describe_neutral(bench: Bench, request: Mapping[str, Any]) -> dict[str, Any]:
    """{checkpoint, spec, ratio} -> what `measure_neutral` tells of the spec's texts and rows; "name": of the set.

    Raises BadData where the rows or texts cannot be scored, BadGrid for a share outside of (0, 1].
    """
    loaded = bench.checkpoint(str(request["checkpoint"]))
    ratio = request["ratio"]
    if isinstance(ratio, bool) or not isinstance(ratio, (int, float)) or not 0.0 < ratio <= 1.0:
        raise BadGrid(f"ratio must be a number above 0 and at most 1, not {ratio!r}.")
    options, data_options = split_options(request["spec"])
    spec = spec_from_mapping({"feature_factors": [1.0], **options})
    plan = bench.prepared(loaded, spec, data_options)
    name = bench.neutral_name(loaded, data_options)
    base = loaded.workspace.in_precision(spec.precision).base_model
    return {"name": name, "ratio": ratio, **measure_neutral(plan, base, bench.store, float(ratio))}


def _described(loaded: Loaded, data: EvalData, told: Mapping[str, Any]) -> dict[str, Any]:
    problem = None
    try:
        classes = list(class_order(loaded.model, with_known_classes(loaded, require_rows(data))))
        data.chosen("all", classes)  # rows between the classes: else there is nothing to score
    except BadData as error:
        classes, problem = [], str(error)
    first = {} if "first" in told else {"first": first_checked(data)}
    words = rows_summary(loaded, data)["target_words"]
    return {**told, **first, **rows_found(data), "classes": classes, "target_words": words, "problem": problem}


def _read(bench: Bench, options: Mapping[str, Any]) -> ReadTable:
    given = bench.given(options, "rows")
    if isinstance(given, Mapping) and "upload" in given:
        return bench.read_upload(given["upload"])
    return as_read(source_of(given))


def _casings_once(words: Sequence[str]) -> list[str]:
    """Each word once, whatever its casing, for a summary; the lower one is told."""
    kept: dict[str, str] = {}
    for word in words:
        known = kept.get(word.lower())
        kept[word.lower()] = word if known is None else max(known, word)
    return sorted(kept.values())
