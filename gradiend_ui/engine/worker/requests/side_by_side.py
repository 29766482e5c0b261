"""Requests for predictions in one's own sentences: the base and chosen cells side by side, or the base alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradiend_ui.engine.answers.model import CompareAnswer, ComparedText
from gradiend_ui.engine.compare.side_by_side import Comparison, read_ahead, side_by_side
from gradiend_ui.engine.errors import BadData, BadGrid
from gradiend_ui.engine.files.json_files import shown
from gradiend_ui.engine.scoring.targets import ClassTargets, resolve_targets
from gradiend_ui.engine.store.runs import Run
from gradiend_ui.engine.sweep.plan import class_order
from gradiend_ui.engine.worker.bench import Bench, cell_of
from gradiend_ui.engine.worker.health_card import Loaded

OPTIONS = frozenset({"top_k", "continuation", "skip_bad"})


def compare(bench: Bench, request: Mapping[str, Any]) -> CompareAnswer:
    """{run, cells, texts, options} -> {texts: ...} of `engine.compare.side_by_side.side_by_side`.

    With skip_bad a run without the words of its classes is compared all the same, and `note` says what is missing.
    """
    asked, options, note = _asked(bench, request)
    cells = [cell_of(cell) for cell in request["cells"]]
    texts = side_by_side(asked, cells, list(request["texts"]), **options)
    return _with_note(texts, note)


def compare_ahead(bench: Bench, request: Mapping[str, Any]) -> None:
    """{run, cell (None: the base), texts, options} -> nothing; a comparison of the same run finds these answers done.

    So a large comparison is asked for in pieces, between which other requests come.
    """
    asked, options, _ = _asked(bench, request)
    cell = None if request["cell"] is None else cell_of(request["cell"])
    read_ahead(asked, cell, list(request["texts"]), continuation=options.get("continuation", 0))


def _asked(bench: Bench, request: Mapping[str, Any]) -> tuple[Comparison, dict[str, Any], str | None]:
    """What a comparison of a run stands on, its options, and what is missing."""
    record = bench.store.run(str(request["run"]))
    loaded = bench.checkpoint(record.checkpoint)
    options = checked_options(request.get("options"))
    spec = bench.unchanged(record, loaded)
    targets, note = _targets(bench, record, loaded, bool(options.get("skip_bad")))
    asked = Comparison(
        loaded.model,
        loaded.workspace,
        targets,
        spec["token_boundary"],
        spec["part"],
        bench.answers,
        f"{record.id} {loaded.model.fingerprint}",
    )
    return asked, options, note


def compare_base(bench: Bench, request: Mapping[str, Any]) -> CompareAnswer:
    """{checkpoint, texts, options} -> what the base alone predicts, before there is any sweep."""
    loaded = bench.checkpoint(str(request["checkpoint"]))
    options = checked_options(request.get("options"))
    targets, note = _targets_beside(loaded)
    owner = f"{request['checkpoint']} {loaded.model.fingerprint}"
    asked = Comparison(loaded.model, loaded.workspace, targets, memory=bench.answers, owner=owner)
    texts = side_by_side(asked, [], list(request["texts"]), **options)
    return _with_note(texts, note)


def _with_note(texts: list[ComparedText], note: str | None) -> CompareAnswer:
    return {"texts": texts, "note": note} if note else {"texts": texts}


def checked_options(given: object) -> dict[str, Any]:
    """The options of a comparison. Raises BadGrid for unknown ones."""
    options = dict(given) if isinstance(given, Mapping) else {}
    unknown = sorted(set(options) - OPTIONS)
    if unknown:
        raise BadGrid(f"Unknown option {shown(unknown[0])}; /compare knows {', '.join(sorted(OPTIONS))}.")
    if not isinstance(options.get("skip_bad", False), bool):
        raise BadGrid(f"skip_bad must be true or false, not {shown(options['skip_bad'])}.")
    return options


def _targets(bench: Bench, record: Run, loaded: Loaded, optional: bool) -> tuple[ClassTargets, str | None]:
    """The class words of a run; where they are optional and missing: none, and why."""
    try:
        return bench.targets(record, loaded), None
    except BadData as error:
        if not optional:
            raise
        return ClassTargets(None, tuple(record.info["classes"])), str(error)


def _targets_beside(loaded: Loaded) -> tuple[ClassTargets, str | None]:
    """The class words that the rows beside a checkpoint tell; none, and why, where they do not."""
    rows = loaded.companions.rows
    if rows is None:
        return ClassTargets(None, ()), None
    try:
        return resolve_targets(rows.rows, class_order(loaded.model, rows), None), None
    except BadData as error:
        return ClassTargets(None, ()), str(error)
