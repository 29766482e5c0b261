"""A user's own policies and extractors, made for both implementations: plain code over what either hands in.

Imported by the tests and by the reference's process, so that both choose by the very same lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any


class GentlestPolicy:
    """The cell that costs the least LMS, whatever its metric."""

    def select(self, metric: str, candidates: Sequence[Any], context: Any) -> Any:
        return max(candidates, key=lambda candidate: (candidate.lms, candidate.metrics[metric]), default=None)


class BoldestPolicy:
    """The largest step, whatever it costs."""

    def select(self, metric: str, candidates: Sequence[Any], context: Any) -> Any:
        return max(candidates, key=lambda candidate: abs(candidate.id["learning_rate"]), default=None)


class UndecidedPolicy:
    """Never chooses: the caller has to fall back to the smallest step."""

    def select(self, metric: str, candidates: Sequence[Any], context: Any) -> Any:
        return None


def gap_extractor(candidate: Callable[..., Any], base: Callable[..., Any]) -> Callable[[Mapping[Any, Any]], Any]:
    """An extractor with two metrics of its own; ``candidate`` and ``base``: the implementation's two classes."""

    def extract(results: Mapping[Any, Mapping[str, Any]]) -> Any:
        found = []
        for key, cell in results.items():
            if key == "base":
                continue
            means = cell["probs_by_dataset"]
            gap = abs(means["M"]["M"] - means["F"]["M"])
            metrics = {"gap": gap, "evenness": 1.0 - abs(means["M"]["M"] - means["M"]["F"])}
            found.append(candidate(id=cell["id"], lms=cell["lms"]["lms"], metrics=metrics))
        return found, base(base_lms=results["base"]["lms"]["lms"])

    return extract


POLICIES: dict[str, Callable[[], Any]] = {
    policy.__name__: policy for policy in (GentlestPolicy, BoldestPolicy, UndecidedPolicy)
}
EXTRACTORS: dict[str, Callable[..., Any]] = {"gap": gap_extractor}
