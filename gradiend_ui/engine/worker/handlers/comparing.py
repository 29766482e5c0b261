"""Requests for predictions in one's own sentences: the base and chosen cells side by side, or the base alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradiend_ui.engine.answers.model import CompareAnswer, ComparedText
from gradiend_ui.engine.compare.side_by_side import Comparison, read_ahead, side_by_side
from gradiend_ui.engine.errors import BadData, BadGrid, shown
from gradiend_ui.engine.scoring.targets import ClassTargets, resolve_targets
from gradiend_ui.engine.store.runs import Run
from gradiend_ui.engine.sweep.plan import class_order
from gradiend_ui.engine.worker.health_card import Loaded
from gradiend_ui.engine.worker.requests import Compare, CompareAhead, CompareBase
from gradiend_ui.engine.worker.resources import Resources

OPTIONS = frozenset({"top_k", "continuation", "skip_bad"})


def compare(resources: Resources, request: Compare) -> CompareAnswer:
    """With skip_bad a run without the words of its classes is compared all the same; `note` says what is missing."""
    asked, options, note = _asked(resources, request)
    cells = [cell.in_sweep_of(asked.part) for cell in request.cells]
    answer = _told(side_by_side(asked, cells, request.texts, **options), note)
    behind_padding = resources.store.run(request.run).info.get("behind_padding", 0)
    return {**answer, "behind_padding": behind_padding} if behind_padding else answer


def compare_ahead(resources: Resources, request: CompareAhead) -> None:
    asked, options, _ = _asked(resources, request)
    cell = None if request.cell is None else request.cell.in_sweep_of(asked.part)
    read_ahead(asked, cell, request.texts, continuation=options.get("continuation", 0))


def _asked(resources: Resources, request: Compare | CompareAhead) -> tuple[Comparison, dict[str, Any], str | None]:
    """What a comparison of a run stands on, its options, and what is missing."""
    record = resources.store.run(request.run)
    loaded = resources.checkpoint(record.checkpoint)
    options = checked_options(request.options)
    spec = resources.unchanged(record, loaded)
    targets, note = _targets(resources, record, loaded, bool(options.get("skip_bad")))
    asked = Comparison(
        loaded.model,
        loaded.workspace,
        targets,
        spec["token_boundary"],
        spec["part"],
        resources.answers,
        f"{record.id} {loaded.model.fingerprint}",
    )
    return asked, options, note


def compare_base(resources: Resources, request: CompareBase) -> CompareAnswer:
    loaded = resources.checkpoint(request.checkpoint)
    options = checked_options(request.options)
    targets, note = _targets_beside(loaded)
    owner = f"{request.checkpoint} {loaded.model.fingerprint}"
    asked = Comparison(loaded.model, loaded.workspace, targets, memory=resources.answers, owner=owner)
    return _told(side_by_side(asked, [], request.texts, **options), note)


def _told(texts: list[ComparedText], note: str | None) -> CompareAnswer:
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


def _targets(resources: Resources, record: Run, loaded: Loaded, optional: bool) -> tuple[ClassTargets, str | None]:
    """The class words of a run; where they are optional and missing: none, and why."""
    try:
        return resources.targets(record, loaded), None
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
