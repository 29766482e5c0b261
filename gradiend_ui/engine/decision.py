"""How close a decision was, in masked tokens of the neutral texts. Pure counting; knows no question and no model."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from gradiend_ui.engine.policies import Candidate, LMSThresholdPolicy, SelectionPolicy


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
