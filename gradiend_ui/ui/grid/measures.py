"""Which numbers the maps show, with their names: one class on one kind of rows, its change, or every class on all.

Measures for `figures.heatmap` from one picture, the options and what the page wants to see. Knows no widget.
"""

from __future__ import annotations

from dataclasses import dataclass

from gradiend_ui.engine.answers.run import Numbers, Picture, SelectOptions
from gradiend_ui.figures.heatmap import MOST_LINES, LineKind, Measure, difference
from gradiend_ui.ui.kit.words import Words

OTHER, OWN, CHANGE, ALL = "other", "own", "change", "all"
SHOWS = (OTHER, OWN, CHANGE, ALL)


@dataclass(frozen=True)
class Board:
    """Maps and details of one state. matrix: how many maps stand in a row; 0: one below the other."""

    shows: str
    maps: tuple[Measure, ...]
    details: tuple[Measure, ...]
    matrix: int = 0


def shown_of(shows: str, options: SelectOptions) -> str:
    """What the maps show; by default the rows by which the goal decides."""
    if shows in SHOWS:
        return shows
    return OWN if options.get("goal") == "weaken" else OTHER


def board_of(picture: Picture, options: SelectOptions, shows: str, words: Words) -> Board:
    """The measures for a picture (the keys of `Session.picture`)."""
    chosen = shown_of(shows, options)
    kept = kept_measure(picture, words)
    details = (lms_measure(picture, words), *probabilities(picture, words))
    if chosen == ALL:
        shown = matrix(picture, words)
        if shown:
            return Board(chosen, (*shown, kept), details, len(_datasets(picture)))
        return Board(chosen, (_metric(picture, options, words), kept), details)
    if chosen == CHANGE:
        first = change_measure(picture, options, words)
    else:
        first = rows_measure(picture, options, chosen, words)
    return Board(chosen, (first, kept), details)


def metric_title(picture: Picture, options: SelectOptions, words: Words) -> str:
    """The name of the number that decides: P(class) on the other class's rows, or 1 - P(class) on its own."""
    name = str(options["target_class"])
    if options.get("goal") == "weaken":
        return words("grid.weakened_on", name=name, rows=name)
    return words("grid.probability_on", name=name, rows=picture["other"] or name)


def rows_measure(picture: Picture, options: SelectOptions, chosen: str, words: Words) -> Measure:
    """P(class) on the other class's rows or on its own; the deciding number where these rows decide."""
    weakens = options.get("goal") == "weaken"
    if (chosen == OWN) == weakens:
        return _metric(picture, options, words)
    name = str(options["target_class"])
    dataset = name if chosen == OWN else str(picture["other"] or name)
    measure = probability(picture, name, dataset, words)
    tip = words.help("grid.own" if chosen == OWN else "grid.probability")
    return Measure(measure.key, measure.title, "probability", measure.values, measure.base, tip, "metric")


def change_measure(picture: Picture, options: SelectOptions, words: Words) -> Measure:
    """The deciding number minus the base's."""
    base = picture["base"] and picture["base"]["metric"]
    title = words("grid.change_of", measure=metric_title(picture, options, words))
    values = difference(picture["metric"], base)
    return Measure(
        "change", title, "change", values, None if base is None else 0.0, words.help("grid.change"), "metric"
    )


def matrix(picture: Picture, words: Words) -> tuple[Measure, ...]:
    """Every class (one line of maps each) on the rows of every class."""
    datasets = _datasets(picture)
    names = dict.fromkeys(name for dataset in datasets for name in picture["by_dataset"][dataset])
    order = [name for name in picture["classes"] if name in names]
    return tuple(probability(picture, name, dataset, words) for name in order or sorted(names) for dataset in datasets)


def row_lines(picture: Picture, options: SelectOptions, words: Words) -> list[tuple[LineKind, Measure]]:
    """The class on every kind of rows, the deciding ones first, then what is kept of the LMS."""
    name, other = str(options["target_class"]), str(picture["other"])
    deciding, second = (name, other) if options.get("goal") == "weaken" else (other, name)
    order = dict.fromkeys((deciding, second, *_datasets(picture)))
    kinds: dict[str, LineKind] = {deciding: "target", second: "other"}
    lines: list[tuple[LineKind, Measure]] = [
        (kinds.get(dataset, "further"), probability(picture, name, dataset, words))
        for dataset in order
        if name in picture["by_dataset"].get(dataset, {})
    ]
    return [*lines[:MOST_LINES], ("kept", kept_measure(picture, words))]


def probability(picture: Picture, name: str, dataset: str, words: Words) -> Measure:
    """P(class) on the rows of a class; nothing known where there are no such rows."""
    base = picture["base"]
    return Measure(
        f"{name}|{dataset}",
        words("grid.probability_on", name=name, rows=dataset),
        "probability",
        picture["by_dataset"].get(dataset, {}).get(name) or _nothing(picture),
        base and base["probs_by_dataset"].get(dataset, {}).get(name),
        words("grid.matrix_tip", name=name, rows=dataset),
    )


def probabilities(picture: Picture, words: Words) -> tuple[Measure, ...]:
    """Every class on the rows of every class, as details."""
    pairs = ((name, dataset) for dataset, classes in picture["by_dataset"].items() for name in classes)
    return tuple(probability(picture, name, dataset, words) for name, dataset in pairs)


def kept_measure(picture: Picture, words: Words) -> Measure:
    base = 1.0 if picture["base"] else None
    return Measure("lms", words("grid.kept"), "kept", picture["lms_ratio"], base, words.help("grid.kept"))


def lms_measure(picture: Picture, words: Words) -> Measure:
    base = picture["base"] and picture["base"]["lms"]
    return Measure("score", words("grid.lms"), "number", picture["lms"], base, words.help("grid.lms"))


def _metric(picture: Picture, options: SelectOptions, words: Words) -> Measure:
    weakens = options.get("goal") == "weaken"
    name = str(options["target_class"])
    same = picture["by_dataset"].get(picture["other"] or "", {}).get(name) is not None and not weakens
    base = picture["base"]
    return Measure(
        f"{name}|{picture['other']}" if same else "metric",
        metric_title(picture, options, words),
        "probability",
        picture["metric"],
        base and base["metric"],
        words.help("grid.weakened" if weakens else "grid.probability"),
        "metric",
    )


def _datasets(picture: Picture) -> list[str]:
    found = picture["by_dataset"]
    return [name for name in picture["classes"] if name in found] or list(found)


def _nothing(picture: Picture) -> Numbers:
    return [[None] * len(picture["learning_rates"]) for _ in picture["feature_factors"]]
