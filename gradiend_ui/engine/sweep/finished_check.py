"""Whether a finished sweep still holds, and what is told of it once it is opened.

The reference's file tells nothing of the weights, rows and targets it was made with: the base and a few cells are
scored again with today's before its numbers are shown as theirs. A file of ours carries a fingerprint of all these.
Knows a loaded model and the data beside it; no store, no page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from gradiend_ui.engine.checkpoint.companions import Companions
from gradiend_ui.engine.checkpoint.finished_grid import FinishedSweep, GridCache, grid_of, scored_classes, shown_scores
from gradiend_ui.engine.errors import GradiendUIError, NotFound
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.selection.winner import Question, select
from gradiend_ui.engine.store.run_info import KeptInfo
from gradiend_ui.engine.sweep.plan import PreparedSweep, class_order, prepare
from gradiend_ui.engine.sweep.spec import SweepSpec
from gradiend_ui.engine.values import REFERENCE, TOKEN_BOUNDARIES, Cell, CellScore
from gradiend_ui.engine.weights.workspace import Workspace

SAME = 1e-4
"""How far apart a probability or LMS of the file and today's may lie and still be the same number."""
MOST_CHECKED = 3

CheckState = Literal["verified", "partly", "differs", "unchecked"]


@dataclass(frozen=True)
class Check:
    """What scoring again showed.

    verified: equal numbers, or equal fingerprints; partly: equal probabilities, the LMS could not be compared;
    differs: made with other weights, rows, texts, targets or part; unchecked: nothing to compare with.
    plan: today's sweep with these settings, None without rows; neutral: the name of the neutral set, None where the
    evaluation rows stand in or the set is not known; lms_known: whether the LMS is today's.
    """

    state: CheckState
    sentence: str
    plan: PreparedSweep | None = None
    neutral: str | None = None
    lms_known: bool = False


@dataclass(frozen=True)
class _Candidate:
    """One way in which the file may have been made."""

    plan: PreparedSweep
    neutral: str | None


def check(sweep: FinishedSweep, model: ModelWithGradiend, workspace: Workspace, companions: Companions) -> Check:
    """Whether today's weights, rows, texts and targets give the numbers of the file; scores the base and few cells."""
    if companions.rows is None:
        return Check("unchecked", "It could not be checked: no evaluation rows lie beside this checkpoint.")
    try:
        candidates = list(_candidates(sweep.cache, model, companions))
    except GradiendUIError as error:
        return Check("unchecked", f"It could not be checked with the rows beside this checkpoint: {error}")
    for made in candidates:
        if made.plan.is_called(sweep.cache.fingerprint):
            sentence = "Weights, rows, texts, targets and part are those it was made with (equal fingerprints)."
            return Check("verified", sentence, made.plan, made.neutral, lms_known=True)
    return _scored_again(sweep.cache, candidates, model, workspace, companions)


def _candidates(cache: GridCache, model: ModelWithGradiend, companions: Companions) -> Iterable[_Candidate]:
    """With every neutral set there is, the one the page starts with first, and with none."""
    rows = companions.rows
    assert rows is not None  # the caller has asked
    names = sorted(companions.neutral, key=lambda name: name != companions.neutral_set)
    natural = cache.fingerprint is not None and model.base.two_boundaries
    splits = {row.split for row in rows.rows}
    several = tuple(cache.split.split("_")) if "_" in cache.split and cache.split not in splits else None
    for boundary in TOKEN_BOUNDARIES if natural else (REFERENCE,):
        spec = SweepSpec(
            part=cache.part,  # type: ignore[arg-type]
            token_boundary=boundary,
            split=cache.split,
            max_rows=cache.max_rows,
            max_neutral=cache.max_neutral,
        )
        for name in (*names, None):
            plan = prepare(
                model,
                spec,
                rows,
                None if name is None else companions.neutral[name],
                datasets=sorted(cache.base.probs_by_dataset),
                classes=class_order(model, rows),
                grid=grid_of(cache),
                splits=several,
            )
            yield _Candidate(plan, name)


def _scored_again(
    cache: GridCache,
    candidates: Sequence[_Candidate],
    model: ModelWithGradiend,
    workspace: Workspace,
    companions: Companions,
) -> Check:
    made = next((way for way in candidates if _lms_agrees(cache.base, way.plan, workspace)), None)
    plan = (made or candidates[0]).plan
    checked = [cache.base, *telling_cells(cache, model)]
    for kept in checked:
        difference = _difference(kept, _score(kept.cell, model, plan, workspace), with_lms=made is not None)
        if difference is not None:
            return _differs(difference, plan, companions)
    if made is not None:
        sentence = f"The base and {len(checked) - 1} cells, scored again today, give the same numbers."
        return Check("verified", sentence, plan, made.neutral, lms_known=True)
    lms = f"the LMS of the base is {cache.base.lms_value:.4g} there"
    if companions.neutral and not companions.recovered:
        return _differs(lms + " and another now, with every neutral set that lies beside it", plan, companions)
    sentence = (
        f"The probabilities of the base and {len(checked) - 1} cells, scored again today, are the same. "
        f"The LMS could not be checked: {lms}, and its neutral texts do not lie beside this checkpoint."
    )
    return Check("partly", sentence, plan)


def _differs(difference: str, plan: PreparedSweep, companions: Companions) -> Check:
    sentence = f"It was made with other weights, rows, texts, targets or another part: {difference}."
    if companions.recovered:
        sentence += " Or the rows recovered from the csv are not all that it was made with, or in another order."
    return Check("differs", sentence, plan)


def difference_to_today(
    cache: GridCache, plan: PreparedSweep, model: ModelWithGradiend, workspace: Workspace
) -> str | None:
    """Score the base and the telling cells again by `plan`; the first number that differs in words, None if none.

    Datasets that the file holds beyond those of the plan are not compared.
    """
    for kept in (cache.base, *telling_cells(cache, model)):
        difference = _difference(kept, _score(kept.cell, model, plan, workspace), with_lms=True)
        if difference is not None:
            return difference
    return None


def telling_cells(cache: GridCache, model: ModelWithGradiend) -> list[CellScore]:
    """The cells to score again: each asked class's winner, then those whose probabilities moved most from the base."""
    finite = [score for score in shown_scores(cache)[1:] if score.is_final]
    moved = sorted(finite, key=lambda score: -_shift(cache.base, score))
    winners = [score for name in cache.asked or () for score in finite if score.cell == _winner(name, cache, model)]
    chosen = {score.cell: score for score in (*winners[: MOST_CHECKED - 1], *moved)}
    return list(chosen.values())[:MOST_CHECKED]


def _winner(name: str, cache: GridCache, model: ModelWithGradiend) -> Cell | None:
    question = Question(
        target_class=name,
        classes=tuple(dict.fromkeys((*scored_classes(cache), *(cache.asked or ())))),
        strengthening=model.strengthening_feature_factor,
        goal=cache.goal or "strengthen",
        on_other_class=cache.prob_on_other_class,
    )
    try:
        chosen = select(question, cache.base, shown_scores(cache)[1:])
    except NotFound:
        return None
    return Cell(chosen.feature_factor, chosen.learning_rate)


def _shift(base: CellScore, score: CellScore) -> float:
    pairs = [
        abs(p - base.probs_by_dataset.get(dataset, {}).get(name, p))
        for dataset, row in score.probs_by_dataset.items()
        for name, p in row.items()
    ]
    return max(pairs, default=0.0)


def _score(cell: Cell | None, model: ModelWithGradiend, plan: PreparedSweep, workspace: Workspace) -> CellScore:
    weights = workspace.base_model
    if cell is not None:
        update = model.update_vector(plan.spec.part, cell.feature_factor)
        weights = workspace.rewritten(update, cell.learning_rate)
    return plan.summarise(cell, {b: plan.score_block(weights, b) for b in range(len(plan.block_sizes))})


def _lms_agrees(base: CellScore, plan: PreparedSweep, workspace: Workspace) -> bool:
    rows = len(plan.objective.blocks)
    texts = range(rows, len(plan.block_sizes))
    now = plan.summarise(None, {block: plan.score_block(workspace.base_model, block) for block in texts})
    return _same(base.lms_value, now.lms_value)


def _difference(kept: CellScore, now: CellScore, *, with_lms: bool) -> str | None:
    """The first number that is not the same, in words; None when all are."""
    cell = kept.cell
    place = "the base" if cell is None else f"({cell.feature_factor:g}, {cell.learning_rate:g})"
    for dataset, row in sorted(now.probs_by_dataset.items()):
        for name, here in sorted(row.items()):
            there = kept.probs_by_dataset.get(dataset, {}).get(name)
            if not _same(there, here):
                return f"P({name}) on {dataset} rows of {place} is {_number(there)} there, {_number(here)} now"
    if with_lms and not _same(kept.lms_value, now.lms_value):
        return f"the LMS of {place} is {_number(kept.lms_value)} there, {_number(now.lms_value)} now"
    return None


def _same(there: float | None, here: float | None) -> bool:
    return there is not None and here is not None and abs(there - here) <= SAME


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4f}"


# --- what is told of an opened sweep -------------------------------------------------------------------------------


def opened_info(sweep: FinishedSweep, model: ModelWithGradiend, checked: Check) -> KeptInfo:
    """What a run in the store tells of itself, as for one swept here; "imported" says where its numbers come from."""
    cache, plan, grid = sweep.cache, checked.plan, grid_of(sweep.cache)
    classes = shown_classes(model, sweep.cache)
    note = f"Opened from {sweep.file}, not swept here. {checked.sentence}"
    return {
        "classes": classes,
        "strengthening": model.strengthening_feature_factor,
        "feature_factors": list(grid.feature_factors),
        "learning_rates": list(grid.learning_rates),
        "neutral_set": checked.neutral,
        "rows": 0 if plan is None else len(plan.rows),
        "neutral_tokens": plan.lms.tokens if plan is not None and checked.lms_known else None,
        "warnings": [note, *(() if plan is None else plan.warnings)],
        "fingerprint": "" if plan is None else plan.fingerprint,
        "spec": {
            "goal": cache.goal or "strengthen",
            "part": cache.part,
            "token_boundary": REFERENCE if plan is None else plan.spec.token_boundary,
            "split": cache.split,
            "again": False,
            "target_classes": [name for name in classes if name in (cache.asked or classes)] or classes,
        },
        "imported": {
            "file": sweep.file,
            "check": checked.state,
            "note": note,
            "model": model.fingerprint,
            "lms_known": checked.lms_known,
        },
    }


def shown_classes(model: ModelWithGradiend, cache: GridCache) -> list[str]:
    """The classes with probabilities in the file, in the model's order (+1 first), others after them."""
    known = scored_classes(cache)
    ordered = sorted(model.strengthening_feature_factor, key=lambda name: -model.encoding_direction[name])
    return [*(name for name in ordered if name in known), *(name for name in known if name not in ordered)]
