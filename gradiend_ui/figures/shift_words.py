"""The words of the probability shifts figure: its title, key and notes, and what the pointer shows at a cell.

Everything is escaped for Plotly's pseudo-HTML here, or plain where it says so. Knows no figure.
"""

from __future__ import annotations

from gradiend_ui.figures.numbers import MINUS, MISSING, plain, signed, six_digits, three_digits
from gradiend_ui.figures.palette import Palette
from gradiend_ui.figures.panels import escaped
from gradiend_ui.figures.shift_numbers import Shifts

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
    lms = shifts.lms[place]
    return MISSING if lms is None or not shifts.base_lms else f"{lms / shifts.base_lms:.3f}"


def cell_words(shifts: Shifts, place: int) -> str:
    return f"feature factor {signed(shifts.feature_factor)}, learning rate {plain(shifts.rates[place])}"
