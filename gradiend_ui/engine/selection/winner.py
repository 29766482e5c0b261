"""The winner of a sweep: the question, the choice by a policy, how close it was, and all classes' winners at once.

Pure functions of scores: never a reason to run a model again. Knows no tensors, no disk and no page; what is told of a
winner is `winner_facts`' and `winner_sentences`'.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import cast

from gradiend_ui.engine.answers.run import Degenerate, SelectionAnswer, Winner
from gradiend_ui.engine.errors import BadGrid, NotFound, listed, shown
from gradiend_ui.engine.selection.policies import (
    BaseContext,
    Candidate,
    CellId,
    LMSThresholdPolicy,
    LMSTimesMetricPolicy,
    SelectionPolicy,
    policy_named,
    smallest_step,
)
from gradiend_ui.engine.selection.winner_facts import facts_of, threshold_of
from gradiend_ui.engine.selection.winner_sentences import (
    explain,
    explain_against_goal,
    explain_both_signs,
    explain_width,
)
from gradiend_ui.engine.values import (
    BOTH_SIGNS,
    WINNER_GOALS,
    Cell,
    CellScore,
    MostSaidJson,
    error_key,
    finite_or_none,
    lms_ratio,
)


def deciding_tokens(
    policy: SelectionPolicy,
    metric: str,
    chosen: Candidate,
    candidates: Sequence[Candidate],
    base_lms: float,
) -> int | None:
    """The smallest number of masked tokens which, predicted differently in one cell, would give another answer.

    Either a cell that fails the threshold and would win if it passed gains them, or the winner loses them and fails.
    Another answer is another cell, a fallback in place of a winner, or a winner in place of a fallback.
    candidates: as the policy saw them, in order.
    None for another policy, for a cell without hits (a causal model), and where nothing would change the answer.
    """
    if not isinstance(policy, LMSThresholdPolicy):
        return None
    found: list[int] = []
    needs: dict[int, int] = {}
    for candidate, loses in _deciding(policy, metric, chosen, candidates, base_lms):
        if candidate.hits_of is None:
            return None
        hits, total = candidate.hits_of
        if total not in needs:
            needs[total] = _needed(policy, base_lms, total)
        needed = needs[total]
        if loses and needed > 0:
            found.append(hits - needed + 1)
        elif not loses and needed <= total:
            found.append(needed - hits)
    return min(found, default=None)


def _deciding(
    policy: LMSThresholdPolicy, metric: str, chosen: Candidate, candidates: Sequence[Candidate], base_lms: float
) -> list[tuple[Candidate, bool]]:
    """(cell, whether it decides by losing tokens): the winner, and the rejected cells that would win if they passed."""
    fallback = not policy.passes(chosen.lms, base_lms)
    found = [] if fallback else [(chosen, True)]
    own, before = chosen.metrics[metric], True
    for candidate in candidates:
        before = before and candidate is not chosen
        value = candidate.metrics[metric]
        would_win = fallback or value > own or (before and value == own)  # the first of equals wins
        if would_win and not policy.passes(candidate.lms, base_lms):
            found.append((candidate, False))
    return found


def _needed(policy: LMSThresholdPolicy, base_lms: float, total: int) -> int:
    """The smallest number of hits that passes, by the very comparison the policy makes; total + 1 where none does."""
    return bisect_left(range(total + 1), True, key=lambda hits: policy.passes(hits / total, base_lms))


__all__ = [
    "BaseContext", "Candidate", "LMSThresholdPolicy", "LMSTimesMetricPolicy", "Question", "Selection",
    "SelectionPolicy", "candidates_of", "goal_feature_factors", "policy_named", "select", "smallest_step",
    "strengthening_feature_factors", "told_apart", "wanted_feature_factors", "winning_feature_factors",
]  # fmt: skip


@dataclass(frozen=True)
class Question:
    """What is looked for on a grid. classes: in class order; strengthening: {class: its feature factor}, without those
    whose direction nobody knows: cells of every feature factor take part for them."""

    target_class: str
    classes: tuple[str, ...]
    strengthening: Mapping[str, float]
    goal: str = "strengthen"
    policy: SelectionPolicy = field(default_factory=LMSThresholdPolicy)
    any_feature_factor: bool = False
    on_other_class: bool = True

    def __post_init__(self) -> None:
        if self.target_class not in self.classes:
            raise BadGrid(f"target_class must be one of {listed(self.classes)}, not {shown(self.target_class)}.")
        if self.goal not in WINNER_GOALS:
            raise BadGrid(f"goal must be strengthen or weaken, not {shown(self.goal)}.")

    @property
    def metric_name(self) -> str:
        """The reference's key of the metric: the class, or `<class>_weaken`."""
        return self.target_class if self.goal == "strengthen" else f"{self.target_class}_weaken"

    def metric(self, score: CellScore) -> float | None:
        """The metric of one cell: P(c) on the other class's rows, or 1 - P(c) on its own rows."""
        probability = self.probability(score)
        return probability if probability is None or self.goal == "strengthen" else 1.0 - probability

    def error(self, score: CellScore) -> float | None:
        """The standard error of a provisional score's metric; None where it is not known."""
        if self.goal == "weaken":
            return score.errors.get(error_key(self.target_class, self.target_class))
        others = [name for name in self.classes if name != self.target_class]
        keys = [error_key(other, self.target_class) for other in others]
        return next((score.errors[key] for key in keys if key in score.errors), None)

    def probability(self, score: CellScore) -> float | None:
        """The probability the metric is made of."""
        if self.goal == "strengthen":
            return score.strengthen_metric(self.target_class, self.classes, self.on_other_class)
        return score.own_probability(self.target_class)

    def considers(self, cell: Cell) -> bool:
        """Whether the cell's feature factor points the way this question asks for."""
        if self.any_feature_factor or self.target_class not in self.strengthening:
            return True
        return cell.feature_factor in wanted_feature_factors(self.target_class, self.goal, self.strengthening)


def wanted_feature_factors(target_class: str, goal: str, strengthening: Mapping[str, float]) -> tuple[float, ...]:
    """Strengthen: the class's own feature factor; weaken: those of the other classes, else the opposite. Ascending."""
    own = strengthening[target_class]
    others = {factor for name, factor in strengthening.items() if name != target_class}
    return (own,) if goal == "strengthen" else tuple(sorted(others or {0.0 - own}))


def goal_feature_factors(strengthening: Mapping[str, float], goal: str, asked: Sequence[str]) -> tuple[float, ...]:
    """The feature factors that a goal, or "both", needs for the `asked` classes. Ascending, each once.

    Both signs where the direction of one of them is not known.
    """
    if any(name not in strengthening for name in asked):
        return BOTH_SIGNS
    goals = WINNER_GOALS if goal == "both" else (goal,)
    return tuple(sorted({f for g in goals for name in asked for f in wanted_feature_factors(name, g, strengthening)}))


def winning_feature_factors(question: Question, feature_factors: Sequence[float]) -> tuple[bool, ...]:
    """For each row of a grid whether one of its cells can win; the others are there to be looked at."""
    return tuple(question.considers(Cell(factor, 0.0)) for factor in feature_factors)


def strengthening_feature_factors(encoding_direction: Mapping[str, float], source: str) -> dict[str, float]:
    """{class: feature factor that strengthens it}: +direction for source "alternative", else -direction."""
    sign = 1.0 if source == "alternative" else -1.0
    return {name: sign * direction + 0.0 for name, direction in encoding_direction.items()}


def told_apart(strengthening: Mapping[str, float]) -> dict[str, float]:
    """The classes that a feature factor strengthens; none where several are to share one sign, which tells nothing.

    Runs of earlier versions hold such: their encoder's means had the same sign.
    """
    directed = {name: factor for name, factor in strengthening.items() if factor}
    return {} if len(directed) > 1 and len({factor > 0 for factor in directed.values()}) == 1 else directed


@dataclass(frozen=True)
class Selection:
    """The chosen cell and the reason, as the API's /select sends it. Probabilities and lms are in [0, 1].

    value / base_value: the metric (for weaken 1 - P); fallback: no cell passed, the smallest step was taken;
    rejected: the first cell with a better metric that the policy turned down; threshold_tokens: how many masked
    tokens the share between ratio and 1 of the base score is worth; decided_by_tokens: the smallest number of masked
    tokens which, predicted differently in one cell, would give another answer (another cell, or a fallback where there
    is none, or none where there is one). Both are None for causal models and other policies, the latter also where
    nothing would. decision: both in a sentence. degenerate: what the chosen cell says nearly everywhere, None where it
    is not broken. direction_known: False where cells of both signs took part because nobody knows which strengthens
    the class. base_degenerate: what the base model itself says nearly everywhere, None where it does not.
    against_goal: the chosen cell's metric is below the base's; others_gain: that of a cell that was turned down is not.
    """

    feature_factor: float
    learning_rate: float
    value: float
    base_value: float | None
    probability: float
    base_probability: float | None
    lms: float
    base_lms: float
    fallback: bool
    why: str
    runner_up: Mapping[str, float] | None
    rejected: Mapping[str, float] | None
    threshold_tokens: float | None
    decided_by_tokens: int | None = None
    decision: str | None = None
    degenerate: Degenerate | None = None
    direction_known: bool = True
    base_degenerate: MostSaidJson | None = None
    against_goal: bool = False
    others_gain: bool = False

    def to_json(self) -> SelectionAnswer:
        return cast(SelectionAnswer, asdict(self))


def candidates_of(question: Question, scores: Sequence[CellScore]) -> list[Candidate]:
    """The finished, finite cells that the question considers, in ascending (feature_factor, learning_rate)."""
    found: list[tuple[Cell, Candidate]] = []
    considered: dict[float, bool] = {}
    for score in scores:
        cell = score.cell
        if cell is None or not score.is_final:
            continue
        if cell.feature_factor not in considered:
            considered[cell.feature_factor] = question.considers(cell)
        if not considered[cell.feature_factor]:
            continue
        lms, value = finite_or_none(score.lms_value), finite_or_none(question.metric(score))
        if lms is not None and value is not None:
            found.append((cell, Candidate(_id_of(cell), lms, {question.metric_name: value}, _hits_of(score))))
    return [candidate for _, candidate in sorted(found, key=lambda pair: pair[0])]


def _id_of(cell: Cell) -> CellId:
    return {"feature_factor": cell.feature_factor, "learning_rate": cell.learning_rate}


def _hits_of(score: CellScore) -> tuple[int, int] | None:
    hits, total = score.lms.get("hits"), score.lms.get("total")
    return (int(hits), int(total)) if hits is not None and total else None


def degenerate(score: CellScore, base: CellScore) -> Degenerate | None:
    """What a broken model says nearly everywhere; None for one that is not, and while the base is not finished."""
    if score.most_said is None or not base.is_final:
        return None
    found = score.most_said.broken_beside(base.most_said)
    return None if found is None else {"token": found.token, "share": found.share, "base_share": found.base_share}


def base_degenerate(base: CellScore) -> MostSaidJson | None:
    """What the base model itself says nearly everywhere; None where it does not, and while it is not finished."""
    return base.most_said.broken_alone() if base.most_said is not None and base.is_final else None


def select(
    question: Question, base: CellScore, scores: Sequence[CellScore], known: Sequence[Candidate] | None = None
) -> Selection:
    """Answer the question over the cells that are finished.

    known: `candidates_of` the question, where somebody keeps them: no policy changes them.
    Raises NotFound while the base or every candidate is missing, naming what is missing.
    """
    base_lms = finite_or_none(base.lms_value)
    if not base.is_final or base_lms is None:
        raise NotFound("The base model is not scored yet: the selection appears with the first finished cells.")
    candidates = candidates_of(question, scores) if known is None else known
    if not candidates:
        raise NotFound(_nothing_to_choose(question, scores))
    name = question.metric_name
    chosen, fallback = choose(question.policy, name, candidates, BaseContext(base_lms))
    if chosen is None:
        raise NotFound("Every cell has learning rate 0, which is the base model: add a learning rate.")
    ranked = _by_policy(question.policy, name, candidates, base_lms)
    runner_up = next((c for c in ranked if c is not chosen), None)
    accepted = {id(c) for c in ranked}
    rejected = next(
        (c for c in candidates if id(c) not in accepted and (fallback or c.metrics[name] > chosen.metrics[name])), None
    )
    probability = chosen.metrics[name] if question.goal == "strengthen" else 1.0 - chosen.metrics[name]
    base_value = finite_or_none(question.metric(base))
    selection = Selection(
        feature_factor=chosen.id["feature_factor"],
        learning_rate=chosen.id["learning_rate"],
        value=chosen.metrics[name],
        base_value=base_value,
        probability=probability,
        base_probability=finite_or_none(question.probability(base)),
        lms=chosen.lms,
        base_lms=base_lms,
        fallback=fallback,
        why="",
        runner_up=_brief(runner_up, name),
        rejected=_brief(None if rejected is chosen else rejected, name),
        threshold_tokens=_threshold_tokens(question.policy, base),
        decided_by_tokens=deciding_tokens(question.policy, name, chosen, candidates, base_lms),
        degenerate=next((degenerate(s, base) for s in scores if s.cell and _id_of(s.cell) == chosen.id), None),
        direction_known=question.any_feature_factor or question.target_class in question.strengthening,
        base_degenerate=base_degenerate(base),
        against_goal=base_value is not None and chosen.metrics[name] < base_value,
        others_gain=base_value is not None and any(c.metrics[name] > base_value for c in candidates),
    )
    won = facts_of(selection.to_json(), threshold_of(question.policy))
    what = f"P({question.target_class})" if question.goal == "strengthen" else f"1 - P({question.target_class})"
    why = explain(what, won) + explain_against_goal(question.goal, question.target_class, won)
    why += "" if won.direction_known else explain_both_signs(question.target_class)
    return replace(selection, why=why, decision=explain_width(won))


def choose(
    policy: SelectionPolicy, metric: str, candidates: Sequence[Candidate], context: BaseContext
) -> tuple[Candidate | None, bool]:
    """(the policy's choice, else the smallest step; whether that is a fallback: the threshold turned all down)."""
    if not candidates:
        return None, False
    chosen = policy.select(metric, candidates, context) or smallest_step(candidates)
    if chosen is None or not isinstance(policy, LMSThresholdPolicy):
        return chosen, False
    return chosen, not policy.passes(chosen.lms, context.base_lms or 0.0)


def _nothing_to_choose(question: Question, scores: Sequence[CellScore]) -> str:
    if question.target_class not in question.strengthening:
        return "No cell that could win is finished yet."
    wanted = wanted_feature_factors(question.target_class, question.goal, question.strengthening)
    have = {score.cell.feature_factor for score in scores if score.cell is not None}
    if not question.any_feature_factor and not have & set(wanted):
        return (
            f"No cell of this grid can win for {question.goal} {question.target_class}: that takes feature factor "
            f"{' or '.join(f'{factor:g}' for factor in wanted)}. Add it, or allow any feature factor."
        )
    considered = [score for score in scores if score.cell is not None and question.considers(score.cell)]
    if considered and all(score.status == "failed" for score in considered):
        return (
            f"Every cell that could win for {question.goal} {question.target_class} failed: the rewritten model's "
            "output is not a finite number. Add smaller learning rates."
        )
    if considered and all(score.is_final and question.metric(score) is None for score in considered):
        return (
            f"No row tells how to {question.goal} {question.target_class}: that takes rows of "
            f"{'its own' if question.goal == 'weaken' else 'another'} class."
        )
    return "No cell that could win is finished yet."


def _by_policy(policy: SelectionPolicy, name: str, candidates: Sequence[Candidate], base_lms: float) -> list[Candidate]:
    """The candidates a built-in policy accepts, best first; all of them by metric for any other policy."""
    if isinstance(policy, LMSThresholdPolicy):
        accepted = [c for c in candidates if policy.passes(c.lms, base_lms)]
        return sorted(accepted, key=lambda c: -c.metrics[name])
    if isinstance(policy, LMSTimesMetricPolicy):
        return sorted(candidates, key=lambda c: -c.metrics[name] * c.lms)
    return sorted(candidates, key=lambda c: -c.metrics[name])


def _brief(candidate: Candidate | None, name: str) -> dict[str, float] | None:
    return None if candidate is None else {**candidate.id, "value": candidate.metrics[name], "lms": candidate.lms}


def _threshold_tokens(policy: SelectionPolicy, base: CellScore) -> float | None:
    hits = base.lms.get("hits")
    if hits is None or not isinstance(policy, LMSThresholdPolicy):
        return None
    return round((1.0 - policy.ratio) * hits, 2)


def winners_of(
    question: Question,
    base: CellScore,
    scores: Sequence[CellScore],
    candidates: Callable[[Question], Sequence[Candidate]] | None = None,
) -> list[Winner]:
    """{target_class, goal, feature_factor, learning_rate, value, lms_ratio, fallback, degenerate} for each class, in
    class order, and goal, under the question's policy; what cannot be answered (yet) is left out.

    value: the goal's metric, in [0, 1], higher is better; lms_ratio: LMS / base LMS, None for a base of 0.
    candidates: `candidates_of` for these scores, where somebody keeps them.
    """
    known = candidates or (lambda asked: candidates_of(asked, scores))
    found: list[Winner] = []
    for name in question.classes:
        for goal in WINNER_GOALS:
            asked = replace(question, target_class=name, goal=goal)
            try:
                chosen = select(asked, base, scores, known(asked))
            except NotFound:
                continue
            found.append(
                {
                    "target_class": name,
                    "goal": goal,
                    "feature_factor": chosen.feature_factor,
                    "learning_rate": chosen.learning_rate,
                    "value": chosen.value,
                    "lms_ratio": lms_ratio(chosen.lms, chosen.base_lms),
                    "fallback": chosen.fallback,
                    "degenerate": chosen.degenerate,
                    "against_goal": chosen.against_goal,
                }
            )
    return found
