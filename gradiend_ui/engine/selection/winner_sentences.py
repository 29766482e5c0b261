"""The winner's sentence in English, as the API and an export's card tell it. The page's own is in `ui.grid.reason`.

Words for `winner_facts`, and nothing else: computes no number, chooses no cell.
"""

from __future__ import annotations

from gradiend_ui.engine.answers.run import Degenerate
from gradiend_ui.engine.selection.policies import POLICIES
from gradiend_ui.engine.selection.winner_facts import WinnerFacts
from gradiend_ui.engine.values import MostSaidJson


def explain(what: str, won: WinnerFacts) -> str:
    """The winner with its numbers, what was turned down, whether the LMS decides anything, and whether the base or the
    winner is broken. what: the metric's name."""
    told = _explain(what, won)
    if won.lms_decides_nothing:
        told += " The base model's LMS is 0: every cell passes, and the LMS decides nothing here."
    if won.base_degenerate is not None:
        told += f" {explain_base_degenerate(won.base_degenerate)}"
    return told if won.degenerate is None else f"{told} {explain_degenerate(won.degenerate)}"


def explain_degenerate(found: Degenerate) -> str:
    """What a broken model says nearly everywhere, and what its LMS is then."""
    own, base = f"{found['share']:.0%}", f"{found['base_share']:.0%}"
    return (
        f"The model is broken there: it says {found['token']!r} at {own} of the places where the LMS asks it (the base "
        f"says what it says most at {base}). What is left of its LMS, even where it rises, is how often that happens "
        "to be right."
    )


def explain_base_degenerate(found: MostSaidJson) -> str:
    """What a base model says nearly everywhere, and what that means for its cells."""
    return (
        f"The base model itself says {found['token']!r} at {found['share']:.0%} of the places where the LMS asks it: "
        "its LMS tells nothing of language, and no cell can be told to be broken beside it."
    )


def _explain(what: str, won: WinnerFacts) -> str:
    base = "" if won.base_value is None else f", base {won.base_value:.3g}"
    relative = "not comparable" if won.lms_ratio is None else f"{won.lms_ratio:.3f} of base"
    place = place_name(won.feature_factor, won.learning_rate)
    if won.fallback:
        return (
            f"No cell keeps the LMS at {won.threshold:g} of the base or above. {place} is the smallest step, taken as "
            f"a fallback: {what} {won.value:.3g}{base}; LMS {relative}."
        )
    if won.is_base:
        return f"{place} is the base model itself: no cell that may win is better than its {what} {won.value:.3g}."
    sentence = f"{place} wins: {what} {won.value:.3g}{base}; LMS {relative}."
    if won.turned_down is None:
        return sentence
    other, kept = won.turned_down
    where = place_name(other.feature_factor, other.learning_rate)
    return f"{sentence} {where} has {other.value:.3g} but LMS {kept} < {won.threshold:g}."


def explain_against_goal(goal: str, target_class: str, won: WinnerFacts) -> str:
    """What follows a winner that does the opposite of the goal; nothing for any other."""
    if not won.against_goal:
        return ""
    does = f"{goal}s {target_class}"
    that = f"{does} and keeps the LMS" if won.others_gain else f"that may win {does}"
    more = "less" if goal == "strengthen" else "more"
    return f" No cell of the grid {that}: this one says {target_class} {more} than the base does."


def explain_both_signs(target_class: str) -> str:
    """What follows the winner of a class whose direction nobody knows."""
    return f" The direction of {target_class} is not known: cells of every feature factor took part."


def explain_width(won: WinnerFacts) -> str | None:
    """How wide the threshold is and how close the decision was, in masked tokens; None where there are no hits."""
    if won.threshold_tokens is None or won.threshold is None:
        return None
    sentence = f"A threshold of {won.threshold:g} is {won.threshold_tokens:.1f} masked tokens wide here"
    if won.decided_by_tokens is None:
        return f"{sentence}; no number of tokens in one cell would give another answer."
    tokens = "1 token decides" if won.decided_by_tokens == 1 else f"{won.decided_by_tokens} tokens decide"
    return f"{sentence}; {tokens} the winner."


def explain_own_metric(name: str, feature_factor: float, learning_rate: float, value: float, fallback: bool) -> str:
    """The same for a metric that somebody defined by themselves."""
    place = place_name(feature_factor, learning_rate)
    return f"{place} {'is the smallest step, a fallback' if fallback else 'wins'}: {name} {value:.3g}."


def chosen_for(goal: str, target_class: str, policy: str, ratio: float, fallback: bool) -> str:
    """What an export's card says on why this cell. policy: its name; ratio: of the threshold."""
    if fallback:
        return f"{goal} {target_class}: no cell kept the LMS, the smallest step was taken"
    return f"{goal} {target_class}: {POLICIES[policy].because.format(ratio=ratio)}"


def place_name(feature_factor: float, learning_rate: float) -> str:
    return f"({feature_factor:g}, {learning_rate:g})"
