"""What is told of a run: its cells, its picture, its winner, what does not change in it, its line in the list.

Plain dictionaries at run time, as JSON has them. Probabilities, the LMS and shares are in [0, 1] and larger is better
unless a key says otherwise; None is "not known or not finite". Tables have the feature factors as rows and the learning
rates as columns, both ascending. Knows no store and no page.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict

from gradiend_ui.engine.answers.checkpoint import Axes, Card, Number
from gradiend_ui.engine.answers.data import RunData, UnknownClass
from gradiend_ui.engine.values import CellPlace, MostSaidJson

Numbers = list[list[Number]]
Flags = list[list[bool | None]]
ByDataset = dict[str, dict[str, Number]]
"""{dataset class d: {class c: mean P(c) over the rows of d}}."""


class StateAnswer(TypedDict):
    state: str


class DataOfSweep(TypedDict):
    """What became of the data of a sweep. rows_used: that are scored; rows_dropped: {kind of reason: rows that cannot
    be}, see `rows.DROPPED`; unknown_classes: of own rows; notes: how rows and texts were read, in sentences."""

    rows_used: int
    rows_dropped: dict[str, int]
    unknown_classes: list[UnknownClass]
    notes: list[str]


class StartedSweep(DataOfSweep):
    """cells: without the base; position: how many runs are in front of it."""

    run: str
    cells: int
    position: int


class StartedRun(StartedSweep):
    """key: controls the run, told here and never again."""

    key: str


class OpenedSweep(TypedDict):
    """A finished sweep's file as a run. check: "verified", "partly", "differs" or "unchecked"; note: in a sentence."""

    run: str
    cells: int
    check: str
    note: str


class CellAnswer(TypedDict):
    """One cell as the API tells it; the base has no place. rows_done: rows and texts scored so far.

    probs, probs_factual: {class: P} on the other class's rows and on its own. errors, most_said: see `CellScore`.
    """

    feature_factor: Number
    learning_rate: Number
    status: str
    probs: dict[str, Number]
    probs_factual: dict[str, Number]
    probs_by_dataset: ByDataset
    lms: dict[str, Number]
    rows_done: int
    reason: str | None
    errors: dict[str, Number]
    precision: str
    most_said: MostSaidJson | None


class CellsAnswer(TypedDict):
    """State of a run, the base, and the cells that changed after a revision. done, total: cells without the base.
    earlier_scorer: whether a version before this one scored them, whose numbers may be others."""

    state: str
    rev: int
    done: int
    total: int
    eta_seconds: Number
    base: CellAnswer
    cells: list[CellAnswer]
    error: str | None
    earlier_scorer: bool


class Imported(TypedDict):
    """Where the numbers of a run come from that was not swept here; check as in `OpenedSweep`."""

    file: str
    check: str
    note: str


class Search(TypedDict):
    """Whose winners a run looks for, at which share of the base's LMS."""

    ratio: float
    goals: list[str]
    target_classes: list[str]


class KeptSpec(TypedDict):
    """The options of a run. precision and what follows: a run of an earlier version has none."""

    goal: str
    part: str
    token_boundary: str
    split: str
    again: bool
    target_classes: list[str]
    precision: NotRequired[str]
    first_look: NotRequired[str]
    winner_only: NotRequired[bool]
    winner_ratio: NotRequired[float]


class RunSpec(KeptSpec, Axes):
    """What was asked of a run."""

    neutral_set: str | None


class MadeBy(TypedDict):
    """What made a run's numbers: {program: version}, the scorer's version, arithmetic, device, {what: sha256}, and how
    rows and texts were cut into blocks."""

    versions: dict[str, str]
    scorer: int
    precision: str
    weights_dtype: str
    device: str
    threads: int
    sha256: dict[str, str]
    blocks: dict[str, int]


class RunInfo(TypedDict):
    """What does not change in a run. neutral_tokens: that count, None where that is not known. created: seconds since
    1970. imported: None for one that was swept here; made_by: None where the run notes none."""

    run: str
    checkpoint: str
    card: Card
    spec: RunSpec
    data: RunData
    warnings: list[str]
    classes: list[str]
    imported: Imported | None
    neutral_tokens: int | None
    created: float
    made_by: MadeBy | None


class SelectOptions(TypedDict, total=False):
    """The question for a winner, as /select takes it; the view of a page that shows a run has all of it.

    target_class: None for the run's first. goal: "strengthen" or "weaken". policy: a name. ratio: of the base's LMS
    that must stay, in [0, 2]. any_feature_factor: also cells that point the other way may win.
    """

    target_class: str | None
    goal: str
    policy: str
    ratio: float
    any_feature_factor: bool


class Runner(CellPlace):
    """A cell that did not win, with its metric and its LMS."""

    value: float
    lms: float


class Degenerate(TypedDict):
    """What a broken cell says nearly everywhere, see `values.Broken`."""

    token: str
    share: float
    base_share: float


class SelectionAnswer(CellPlace):
    """The chosen cell and why, see `selection.winner.Selection`. degenerate: None where the model is not broken."""

    value: float
    base_value: Number
    probability: float
    base_probability: Number
    lms: float
    base_lms: float
    fallback: bool
    why: str
    runner_up: Runner | None
    rejected: Runner | None
    threshold_tokens: Number
    decided_by_tokens: int | None
    decision: str | None
    degenerate: Degenerate | None
    direction_known: NotRequired[bool]
    base_degenerate: NotRequired[MostSaidJson | None]
    against_goal: NotRequired[bool]
    others_gain: NotRequired[bool]


class Winner(CellPlace):
    """The winner of one class and goal. value: the goal's metric; lms_ratio: LMS / base LMS, from 0; degenerate: None
    where its model is not broken."""

    target_class: str
    goal: str
    value: float
    lms_ratio: Number
    fallback: bool
    degenerate: Degenerate | None
    against_goal: NotRequired[bool]


class BaseNumbers(TypedDict):
    """degenerate: what the base model itself says nearly everywhere, None where it does not."""

    metric: Number
    lms: Number
    probs_by_dataset: ByDataset
    status: str
    precision: str
    degenerate: MostSaidJson | None


class CellTables(TypedDict):
    """What is told of every cell whatever is asked. lms_ratio: LMS / base LMS; lms_error: standard error of the LMS of
    a provisional score; rows_done: rows and texts scored so far, of `rows_total`; precisions: of its numbers;
    degenerate: None where the model is not broken, or it is not known."""

    lms: Numbers
    lms_ratio: Numbers
    status: list[list[str]]
    reason: list[list[str | None]]
    lms_error: Numbers
    rows_done: list[list[int]]
    precisions: list[list[str]]
    rows_total: int
    by_dataset: dict[str, dict[str, Numbers]]
    degenerate: list[list[Degenerate | None]]


class GridPicture(CellTables, Axes):
    """A grid under one question. metric: its number, metric_error the standard error of a provisional one.

    other: the rows that *strengthen* reads. passes: the threshold, None without an LMS or a threshold. precision_error:
    {"probability", "lms"}, how far rounded scores are off float32. skipped: cells that a search left out. can_win: per
    row. selection: None until a candidate is finished.
    """

    metric: Numbers
    metric_label: str
    classes: list[str]
    other: str | None
    passes: Flags
    metric_error: Numbers
    base: BaseNumbers | None
    precision_error: dict[str, Number] | None
    skipped: int
    selection: SelectionAnswer | None
    can_win: list[bool]
    winners: list[Winner]


class Picture(GridPicture):
    """Everything a page draws of a run. eta_seconds: while it runs; position: how many runs are in front of it."""

    rev: int
    state: str
    done: int
    total: int
    eta_seconds: Number
    position: int
    error: str | None
    imported: Imported | None
    neutral_set: str | None
    precision: str
    search: Search | None
    earlier_scorer: bool


class RunWinner(CellPlace):
    """The cell that a run's first class and goal choose at the default threshold."""

    target_class: str
    probability: float
    base_probability: Number
    lms: float
    base_lms: float
    fallback: bool


class RunEntry(TypedDict):
    """A run in the list. name, note: a person's, "" for none. created: seconds since 1970. bytes: on disk, about.
    settings: how it was swept, by the names that two runs are told apart by; None is "not known" or "not so".
    earlier_scorer as in `CellsAnswer`."""

    run: str
    name: str
    note: str
    state: str
    done: int
    total: int
    created: float
    checkpoint: str
    classes: list[str]
    all_classes: list[str]
    winner: RunWinner | None
    bytes: int
    made_by: MadeBy | None
    earlier_scorer: bool
    settings: dict[str, str | int | None]


class RunList(TypedDict):
    """The newest runs, and how many there are in all."""

    runs: list[RunEntry]
    count: int


class RunLabel(TypedDict):
    name: str
    note: str
