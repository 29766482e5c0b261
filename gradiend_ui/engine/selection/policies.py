"""Policies: which of the finished cells is taken, from their metric and their LMS alone.

Any object with `select` is one; `register_policy` gives it a name that scripts and pages can ask for (see
assets/docs/development.md). Knows no classes, no goals and no grid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, Protocol, TypeVar

from gradiend_ui.engine.errors import BadGrid, items_of, refusing_class, shown
from gradiend_ui.engine.registry import Labels, Registry
from gradiend_ui.engine.values import DEFAULT_RATIO, MOST_RATIO, finite

CellId = Mapping[str, float]


@refusing_class()
@dataclass(frozen=True)
class Candidate:
    """One cell as a policy sees it.

    id: {"feature_factor", "learning_rate"}; lms: language-modelling score in [0, 1], higher is better;
    metrics: {name: value, higher is better}. "<class>" is P(class) on the other class's rows and "<class>_weaken" is
    1 - P(class) on its own rows, both in [0, 1]; an extractor may add others. hits_of: (hits, total) of the masked
    tokens whose share the LMS is, None for other models.
    """

    id: CellId
    lms: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    hits_of: tuple[int, int] | None = None


@refusing_class()
@dataclass(frozen=True)
class BaseContext:
    """What a policy knows of the base model: its language-modelling score in [0, 1], None when it was not measured."""

    base_lms: float | None = None


class SelectionPolicy(Protocol):
    """Any object with this method is a policy.

    select(metric, candidates, ctx): one of the candidates, or None for "none of them" (then the smallest non-zero
    learning rate is taken). metric: the name to look up in `Candidate.metrics`; candidates: finished cells that point
    the right way, ascending in (feature_factor, learning_rate). Called with the three arguments by position.
    """

    def select(self, metric: str, candidates: Sequence[Candidate], ctx: BaseContext) -> Candidate | None: ...


@dataclass(frozen=True)
class PolicyFacts:
    """All that is asked of a policy by its name.

    make: makes one; given the share of the base's LMS that must stay where `takes_ratio`: pages then draw that
    threshold. because: why its winner was taken, for the card of an export, {ratio} filled in. labels: {language:
    text} of the choice on a page, where the language files do not know it.
    """

    make: Callable[..., SelectionPolicy]
    because: str
    takes_ratio: bool = False
    labels: Labels = field(default_factory=dict)


LMS_THRESHOLD = "lms_threshold"
DEFAULT_POLICY = LMS_THRESHOLD
POLICIES: Registry[PolicyFacts] = Registry("policy")
Made = TypeVar("Made", bound=Callable[..., Any])


def register_policy(
    name: str, because: str, *, takes_ratio: bool = False, labels: Labels | None = None
) -> Callable[[Made], Made]:
    """A decorator for the class of a policy that can then be asked for by `name`, here, in the API and on the page.

    See `PolicyFacts`. Raises BadName for a name that is taken.
    """

    def registered(make: Made) -> Made:
        POLICIES.add(name, PolicyFacts(make, because, takes_ratio, labels or {"en": because}), make.__module__)
        return make

    return registered


def _learning_rate(cell: CellId) -> float:
    return cell["learning_rate"]


@register_policy(LMS_THRESHOLD, "the best cell with LMS at least {ratio:g} of the base", takes_ratio=True)
@refusing_class()
@dataclass(frozen=True)
class LMSThresholdPolicy:
    """The largest metric among cells with lms >= ratio * base lms; the first of equals wins.

    ratio: share of the base model's LMS that must stay, in [0, 2]; 0.99 asks for at most one percent less.
    When no cell passes, the smallest non-zero |learning_rate| is taken: a fallback, not a winner.
    lr_from_id: the learning rate in a `Candidate.id` of a script's own. require_base_lms: False takes the largest
    metric where the base has no LMS.
    Raises BadGrid for another ratio, and in `select` when the base has no LMS. Source of the rule: `gradiend` 0.2.3.
    """

    ratio: float = DEFAULT_RATIO
    lr_from_id: Callable[[CellId], float] = _learning_rate
    require_base_lms: bool = True

    def __post_init__(self) -> None:
        if not 0.0 <= finite(self.ratio, "ratio") <= MOST_RATIO:
            raise BadGrid(f"ratio must be between 0 and {MOST_RATIO:g}, not {self.ratio}.")

    def passes(self, lms: float, base_lms: float) -> bool:
        return lms >= self.ratio * base_lms

    def select(self, metric: str, candidates: Sequence[Candidate], ctx: BaseContext) -> Candidate | None:
        if not hasattr(ctx, "base_lms"):
            raise BadGrid(f"ctx must be a BaseContext, such as BaseContext(base_lms=0.5), not {shown(ctx)}.")
        _check_candidates(metric, candidates, with_lms=ctx.base_lms is not None)
        if ctx.base_lms is None and not self.require_base_lms:
            return _largest(candidates, lambda c: c.metrics.get(metric, float("-inf")))
        if ctx.base_lms is None:
            raise BadGrid("The base model has no language-modelling score: the threshold cannot be applied.")
        passing = [c for c in candidates if self.passes(c.lms, ctx.base_lms)]
        return _largest(passing, lambda c: c.metrics.get(metric, float("-inf"))) or smallest_step(
            candidates, self.lr_from_id
        )


@register_policy("lms_times_metric", "the largest product of LMS and metric")
@refusing_class()
@dataclass(frozen=True)
class LMSTimesMetricPolicy:
    """The largest metric x lms; the first of equals wins. Needs no base LMS. Source of the rule: `gradiend` 0.2.3."""

    def select(self, metric: str, candidates: Sequence[Candidate], ctx: BaseContext) -> Candidate | None:
        _check_candidates(metric, candidates)
        return _largest(candidates, lambda c: c.metrics.get(metric, float("-inf")) * c.lms)


def _check_candidates(metric: str, candidates: Iterable[Candidate], *, with_lms: bool = True) -> None:
    """Raises BadGrid unless all are candidates whose metric and, with_lms, LMS can be compared."""
    found = items_of(candidates)
    if found is None:
        raise BadGrid(f"candidates must be a list of Candidate, not {shown(candidates)}.")
    for one in found:
        if not isinstance(one, Candidate) or not isinstance(one.metrics, Mapping):
            raise BadGrid(f"candidates must be a list of Candidate with a dictionary of metrics, not {shown(one)}.")
        read: dict[str, Any] = {"lms": one.lms} if with_lms else {}
        for name, value in {**read, metric: one.metrics.get(metric, 0.0)}.items():
            if not isinstance(value, Real):
                raise BadGrid(f"{name} of a Candidate must be a number, not {shown(value)}.")


def _largest(candidates: Sequence[Candidate], value: Any) -> Candidate | None:
    return max(candidates, key=value, default=None)


def smallest_step(
    candidates: Sequence[Candidate], rate: Callable[[CellId], float] = _learning_rate
) -> Candidate | None:
    """The candidate with the smallest non-zero |learning_rate|, the first of equals; None when all are zero."""
    moving = [c for c in candidates if rate(c.id) != 0]
    return min(moving, key=lambda c: abs(rate(c.id)), default=None)


def policy_names() -> tuple[str, ...]:
    """The names by which a policy can be asked for, in the order of a list of choices; the first is the default."""
    return tuple(POLICIES)


def policy_named(name: str, ratio: float = DEFAULT_RATIO) -> SelectionPolicy:
    """The policy of this name. Raises BadGrid."""
    LMSThresholdPolicy(ratio)  # a ratio is looked at even where no policy needs it
    found = POLICIES.get(name)
    if found is None:
        raise BadGrid(f"policy must be one of {', '.join(policy_names())}, not {shown(name)}.")
    return found.make(ratio) if found.takes_ratio else found.make()
