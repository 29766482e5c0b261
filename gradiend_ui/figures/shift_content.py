"""What the probability shifts figure and its table say of one class: numbers of a finished sweep, and words on them.

Everything is read from the return value of `evaluate_decoder`; nothing is scored here. The words are escaped for
Plotly's pseudo-HTML, or plain where it says so. Knows no figure and no model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gradiend_ui.engine.errors import BadData, BadGrid
from gradiend_ui.engine.values import DEFAULT_RATIO, WINNER_GOALS, WinnerGoal, lms_ratio
from gradiend_ui.figures.numbers import MINUS, MISSING, plain, signed, six_digits, three_digits
from gradiend_ui.figures.palette import Palette
from gradiend_ui.figures.panels import escaped

Values = tuple[float | None, ...]


@dataclass(frozen=True)
class Shifts:
    """The cells of one feature factor, by ascending learning rate. Probabilities and LMS are in [0, 1] or None.

    probabilities: {dataset d: {class c: P(c) on the rows of d, per rate}}, and base_probabilities the same for the base
    unscored: classes whose rows this sweep did not score; passes: lms >= ratio * base lms, per rate
    selected: place of the chosen rate among `rates`, or None; fallback: it was taken because no cell passes
    deciding: the dataset whose P(target_class) the choice looks at, or None if it was not scored
    """

    target_class: str
    goal: WinnerGoal
    feature_factor: float
    rates: tuple[float, ...]
    lms: Values
    base_lms: float
    ratio: float | None
    probabilities: Mapping[str, Mapping[str, Values]]
    base_probabilities: Mapping[str, Mapping[str, float | None]]
    unscored: tuple[str, ...]
    selected: int | None
    fallback: bool
    why: str
    deciding: str | None

    @property
    def passes(self) -> tuple[bool, ...]:
        """Whether each cell keeps enough of the base's LMS; all do when there is no threshold."""
        if self.ratio is None:
            return tuple(True for _ in self.lms)
        return tuple(lms is not None and lms >= self.ratio * self.base_lms for lms in self.lms)

    def decides(self, dataset: str, name: str) -> bool:
        """Whether P(name) on the rows of `dataset` is what the choice was made by."""
        return dataset == self.deciding and name == self.target_class


def read_shifts(
    results: Mapping[Any, Any],
    *,
    target_class: str,
    goal: WinnerGoal,
    classes: Sequence[str],
    strengthening: Mapping[str, float],
    class_ids: Sequence[str] | None = None,
    feature_factor: float | None = None,
    ratio: float | None = DEFAULT_RATIO,
) -> Shifts:
    """The numbers of one class out of `evaluate_decoder`'s return value.

    classes: in class order; strengthening: {class: the feature factor that strengthens it}; class_ids: only these
    classes' probabilities (None: all that were scored); feature_factor: None takes the chosen cell's, else the one
    that serves the goal; ratio: None where the policy has no LMS threshold.
    Raises BadData for unknown classes or incomplete results, BadGrid when no cell has the feature factor.
    """
    _check(results, target_class, goal, classes, class_ids)
    grid: Mapping[Any, Mapping[str, Any]] = results["grid"]
    chosen = results.get(target_class if goal == "strengthen" else f"{target_class}_weaken") or {}
    if feature_factor is None:
        feature_factor = _factor(chosen, target_class, goal, strengthening)
    cells = {key[1]: entry for key, entry in grid.items() if isinstance(key, tuple) and key[0] == feature_factor}
    if not cells:
        raise BadGrid(_no_cells(grid, target_class, goal, feature_factor))
    rates = tuple(sorted(cells))
    base = grid["base"]
    datasets = _ordered({name for entry in grid.values() for name in entry["probs_by_dataset"]}, classes)
    scored = {name: _ordered(_classes_on(name, grid), classes) for name in datasets}
    shown = {name: [c for c in found if class_ids is None or c in class_ids] for name, found in scored.items()}
    return Shifts(
        target_class=target_class,
        goal=goal,
        feature_factor=feature_factor,
        rates=rates,
        lms=tuple(_lms(cells[rate]) for rate in rates),
        base_lms=_base_lms(base),
        ratio=ratio,
        probabilities={
            d: {c: tuple(_probability(cells[rate], d, c) for rate in rates) for c in shown[d]} for d in datasets
        },
        base_probabilities={d: {c: _probability(base, d, c) for c in shown[d]} for d in datasets},
        unscored=tuple(name for name in classes if name not in datasets),
        selected=_place(chosen, feature_factor, rates),
        fallback=bool(chosen.get("fallback", False)),
        why=str(chosen.get("why", "")),
        deciding=_deciding(target_class, goal, classes, scored),
    )


def shift_table(shifts: Shifts) -> pd.DataFrame:
    """One row per learning rate, dataset and class, the base first (learning rate 0, no feature factor).

    Columns: feature_factor, learning_rate, dataset, class, probability, base_probability, change, lms, base_lms,
    lms_ratio (lms / base_lms), passes, decides (the curve the choice was made by), selected, fallback.
    """
    steps = [(None, 0.0, None), *((shifts.feature_factor, rate, k) for k, rate in enumerate(shifts.rates))]
    rows = [
        _table_row(shifts, factor, rate, place, dataset, name)
        for factor, rate, place in steps
        for dataset, by_class in shifts.probabilities.items()
        for name in by_class
    ]
    return pd.DataFrame(rows)


def _table_row(
    shifts: Shifts, factor: float | None, rate: float, place: int | None, dataset: str, name: str
) -> dict[str, Any]:
    before = shifts.base_probabilities[dataset][name]
    value = before if place is None else shifts.probabilities[dataset][name][place]
    lms = shifts.base_lms if place is None else shifts.lms[place]
    return {
        "feature_factor": factor,
        "learning_rate": rate,
        "dataset": dataset,
        "class": name,
        "probability": value,
        "base_probability": before,
        "change": None if value is None or before is None else value - before,
        "lms": lms,
        "base_lms": shifts.base_lms,
        "lms_ratio": lms_ratio(lms, shifts.base_lms),
        "passes": True if place is None else shifts.passes[place],
        "decides": shifts.decides(dataset, name),
        "selected": place is not None and place == shifts.selected,
        "fallback": place is not None and place == shifts.selected and shifts.fallback,
    }


def _check(
    results: Mapping[Any, Any], target_class: str, goal: str, classes: Sequence[str], class_ids: Sequence[str] | None
) -> None:
    if goal not in WINNER_GOALS:
        raise BadData(f"goal must be strengthen or weaken, not {goal!r}.")
    for name in (target_class, *(class_ids or ())):
        if name not in classes:
            raise BadData(f"{name!r} is no class of this trainer: choose from {', '.join(classes)}.")
    grid = results.get("grid")
    if not isinstance(grid, Mapping) or "base" not in grid:
        raise BadData("The results hold no grid with its base: pass what evaluate_decoder returned, unshortened.")


def _factor(
    chosen: Mapping[str, Any], target_class: str, goal: WinnerGoal, strengthening: Mapping[str, float]
) -> float:
    if "feature_factor" in chosen:
        return float(chosen["feature_factor"])
    if target_class not in strengthening:
        raise BadData(f"It is not known which feature factor strengthens {target_class}: give feature_factor.")
    own = strengthening[target_class]
    others = sorted({factor for name, factor in strengthening.items() if name != target_class} - {own})
    return own if goal == "strengthen" or not others else others[0]


def _no_cells(grid: Mapping[Any, Any], target_class: str, goal: WinnerGoal, feature_factor: float) -> str:
    have = sorted({key[0] for key in grid if isinstance(key, tuple)})
    return (
        f"The results hold no cell with feature factor {signed(feature_factor)}, which would {goal} {target_class}; "
        f"they hold {', '.join(signed(factor) for factor in have) or 'none'}. "
        f"Run evaluate_decoder(target_class={target_class!r}) first."
    )


def _ordered(names: set[str], classes: Sequence[str]) -> list[str]:
    return [name for name in classes if name in names] + sorted(names - set(classes))


def _classes_on(dataset: str, grid: Mapping[Any, Mapping[str, Any]]) -> set[str]:
    return {name for entry in grid.values() for name in entry["probs_by_dataset"].get(dataset, {})}


def _deciding(
    target_class: str, goal: WinnerGoal, classes: Sequence[str], scored: Mapping[str, Sequence[str]]
) -> str | None:
    """Weaken: the class's own rows; strengthen: the first other class, in class order, that has rows."""
    wanted = (target_class,) if goal == "weaken" else tuple(name for name in classes if name != target_class)
    return next((name for name in wanted if target_class in scored.get(name, ())), None)


def _place(chosen: Mapping[str, Any], feature_factor: float, rates: Sequence[float]) -> int | None:
    if chosen.get("feature_factor") != feature_factor or chosen.get("learning_rate") not in rates:
        return None
    return rates.index(chosen["learning_rate"])


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _probability(entry: Mapping[str, Any], dataset: str, name: str) -> float | None:
    return _finite(entry["probs_by_dataset"].get(dataset, {}).get(name))


def _lms(entry: Mapping[str, Any]) -> float | None:
    """The score in [0, 1]; None where a cell has none (a model that broke)."""
    lms = entry.get("lms")
    return _finite(lms.get("lms") if isinstance(lms, Mapping) else lms)


def _base_lms(base: Mapping[str, Any]) -> float:
    lms = _lms(base)
    if lms is None:
        raise BadData("The base in these results has no language-modelling score, so no cell can be compared with it.")
    return lms


LONGEST_NAME = 24  # letters of a line's name; the rest is in what the pointer shows


def title_of(shifts: Shifts) -> str:
    return f"{shifts.goal.capitalize()} {shifts.target_class}: probabilities over the learning rate"


def line_name(name: str) -> str:
    """P(name), plain, cut where it would take the plot's room."""
    whole = f"P({name})"
    return whole if len(whole) <= LONGEST_NAME else whole[: LONGEST_NAME - 2] + "…)"


def lms_remark(shifts: Shifts) -> str:
    meaning = "language-modelling score on neutral texts, higher is better"
    if shifts.ratio is None:
        return meaning
    return f"{meaning}; dotted: the threshold {three_digits(shifts.ratio * shifts.base_lms)}, {shifts.ratio:g} of base"


def dataset_remark(shifts: Shifts, dataset: str) -> str:
    if dataset != shifts.deciding:
        return f"texts that ask for {dataset}"
    what = "largest" if shifts.goal == "strengthen" else "smallest"
    bound = "" if shifts.ratio is None else " that passes the threshold"
    return f"texts that ask for {dataset}; the choice is made here: the {what} P({shifts.target_class}){bound}"


def key_words(shifts: Shifts, palette: Palette) -> str:
    """What dashes, hollow marks and the star mean, in a line. The curves carry their own names."""
    parts = ["– –  base model"]
    if not all(shifts.passes):
        parts.append("○  hollow, shaded: below the LMS threshold")
    if shifts.selected is not None:
        rate = plain(shifts.rates[shifts.selected])
        star, what = ("☆", "fallback, no cell passes") if shifts.fallback else ("★", "selected")
        parts.append(f"<span style='color:{palette.ink}'>{star}  {what}: learning rate {rate}</span>")
    return "&nbsp;&nbsp;&nbsp;&nbsp;&nbsp;&nbsp;".join(parts)


def unscored_note(shifts: Shifts, palette: Palette) -> str:
    """Why a class's rows have no panel; empty when every class has one."""
    if not shifts.unscored:
        return ""
    names = escaped(", ".join(shifts.unscored))
    return (
        f"<b><span style='color:{palette.ink}'>{names} rows</span></b>  not scored in this sweep: to {shifts.goal} "
        f"{escaped(shifts.target_class)} they are not needed.<br>evaluate_decoder(plot=True) scores the rows of "
        "every class."
    )


def lms_hover(shifts: Shifts, place: int) -> str:
    """What the pointer shows at a cell in the LMS panel."""
    lines = [
        f"<b>LMS {six_digits(shifts.lms[place])}</b>, base {shifts.base_lms:.6f}",
        f"{share_of_base(shifts, place)} of base",
    ]
    if shifts.ratio is not None:
        lines.append(f"{'passes' if shifts.passes[place] else 'below'} the threshold, {shifts.ratio:g} of base")
    return "<br>".join([*lines, cell_words(shifts, place)])


def cell_hover(shifts: Shifts, dataset: str, name: str, place: int) -> str:
    """What the pointer shows at a cell on the curve of P(name) on the rows of `dataset`."""
    value, base = shifts.probabilities[dataset][name][place], shifts.base_probabilities[dataset][name]
    moved = MISSING if value is None or base is None else f"{value - base:+.6f}".replace("-", MINUS)
    lines = [
        f"<b>P({escaped(name)}) {six_digits(value)}</b> on {escaped(dataset)} rows",
        f"base {six_digits(base)}, change {moved}",
        f"LMS {six_digits(shifts.lms[place])}, {share_of_base(shifts, place)} of base",
        cell_words(shifts, place),
    ]
    if place == shifts.selected and shifts.decides(dataset, name):
        lines.append("☆ fallback, no cell passes" if shifts.fallback else "★ selected")
    return "<br>".join(lines)


def share_of_base(shifts: Shifts, place: int) -> str:
    kept = lms_ratio(shifts.lms[place], shifts.base_lms)
    return MISSING if kept is None else f"{kept:.3f}"


def cell_words(shifts: Shifts, place: int) -> str:
    return f"feature factor {signed(shifts.feature_factor)}, learning rate {plain(shifts.rates[place])}"
