"""What there is to tell of a winner, in numbers: its metric and LMS beside the base's, the cells it was preferred to,
the threshold and how close the decision was.

Built in one place, worded in two: in English by `winner_sentences` (the API's `why`, an export's card), in the page's
language by `ui.grid.reason`. Knows no words and no scores; a selection is read, never made here.
"""

from __future__ import annotations

from dataclasses import dataclass

from gradiend_ui.engine.answers.run import Degenerate, Runner, SelectionAnswer
from gradiend_ui.engine.selection.policies import LMSThresholdPolicy, SelectionPolicy
from gradiend_ui.engine.values import MostSaidJson, lms_ratio


@dataclass(frozen=True)
class OtherCell:
    """A cell that did not win. value: the metric, in [0, 1]; lms_ratio: LMS / base LMS, None where it is not known."""

    feature_factor: float
    learning_rate: float
    value: float | None
    lms_ratio: float | None


@dataclass(frozen=True)
class WinnerFacts:
    """All that a sentence about a winner may tell. Probabilities and LMS are in [0, 1].

    value / base_value: the metric (for weaken 1 - P); lms_ratio: LMS / base LMS, None for a base of 0; threshold: the
    share of the base's LMS that the policy asks for, None where it asks for none; fallback: no cell passed, the
    smallest step was taken; rejected: the first better cell that was turned down. threshold_tokens, decided_by_tokens,
    degenerate, direction_known, base_degenerate, against_goal and others_gain as in `winner.Selection`.
    """

    feature_factor: float
    learning_rate: float
    value: float
    base_value: float | None
    probability: float
    base_probability: float | None
    lms: float
    base_lms: float
    lms_ratio: float | None
    threshold: float | None
    fallback: bool
    runner_up: OtherCell | None
    rejected: OtherCell | None
    threshold_tokens: float | None
    decided_by_tokens: int | None
    degenerate: Degenerate | None = None
    direction_known: bool = True
    base_degenerate: MostSaidJson | None = None
    against_goal: bool = False
    others_gain: bool = False

    @property
    def lms_decides_nothing(self) -> bool:
        """Whether the threshold holds back no cell because the base's LMS is 0."""
        return self.threshold is not None and self.base_lms == 0

    @property
    def is_base(self) -> bool:
        """Whether the winner is the base model itself."""
        return self.learning_rate == 0

    @property
    def turned_down(self) -> tuple[OtherCell, str] | None:
        """The better cell that is named beside the winner, and what it keeps as it is shown: below the threshold.

        None where the LMS did not decide, or says nothing.
        """
        if self.threshold is None or self.rejected is None or self.rejected.lms_ratio is None:
            return None
        return self.rejected, shown_below(self.rejected.lms_ratio, self.threshold)


def facts_of(selection: SelectionAnswer, threshold: float | None) -> WinnerFacts:
    """From `winner.Selection.to_json`. threshold: of the policy that chose, see `threshold_of`."""
    base_lms = selection["base_lms"]
    return WinnerFacts(
        feature_factor=selection["feature_factor"],
        learning_rate=selection["learning_rate"],
        value=selection["value"],
        base_value=selection["base_value"],
        probability=selection["probability"],
        base_probability=selection["base_probability"],
        lms=selection["lms"],
        base_lms=base_lms,
        lms_ratio=lms_ratio(selection["lms"], base_lms),
        threshold=threshold,
        fallback=selection["fallback"],
        runner_up=_other(selection["runner_up"], base_lms),
        rejected=_other(selection["rejected"], base_lms),
        threshold_tokens=selection["threshold_tokens"],
        decided_by_tokens=selection.get("decided_by_tokens"),
        degenerate=selection.get("degenerate"),
        direction_known=selection.get("direction_known", True),
        base_degenerate=selection.get("base_degenerate"),
        against_goal=selection.get("against_goal", False),
        others_gain=selection.get("others_gain", False),
    )


def _other(cell: Runner | None, base_lms: float | None) -> OtherCell | None:
    if not cell:
        return None
    ratio = lms_ratio(cell.get("lms"), base_lms)
    return OtherCell(cell["feature_factor"], cell["learning_rate"], cell.get("value"), ratio)


def threshold_of(policy: SelectionPolicy) -> float | None:
    """The share of the base's LMS that a policy asks for, None where it asks for none."""
    return policy.ratio if isinstance(policy, LMSThresholdPolicy) else None


def shown_below(share: float, threshold: float) -> str:
    """`share` with three decimals, or as many as it takes to look smaller than `threshold`: 0.98968 < 0.99."""
    return next((text for digits in range(3, 9) if float(text := f"{share:.{digits}f}") < threshold), f"{share:g}")
