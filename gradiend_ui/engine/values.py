"""The plain values everything else speaks in: cells, grids, scores, and the words that options may take.

Frozen, checked on construction, picklable and JSON-friendly. Knows no tensors, no disk and no model.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple, NotRequired, TypedDict, get_args

from gradiend_ui.engine.errors import BadGrid, TooLarge, shown

Part = Literal["decoder", "decoder-weight", "decoder-bias", "decoder-sum", "encoder-weight"]
WinnerGoal = Literal["strengthen", "weaken"]
Goal = Literal[WinnerGoal, "both"]
TokenBoundary = Literal["reference", "natural"]
Precision = Literal["float32", "bfloat16"]
FirstLook = Literal["same", "bfloat16", "off"]
Status = Literal["pending", "provisional", "final", "skipped", "failed"]

PARTS: tuple[str, ...] = get_args(Part)
DECODER = "decoder"
WEIGHT_PARTS = ("encoder-weight", "decoder-weight", "decoder-bias", "decoder-sum")
"""The parts that are weights of the GRADIEND, in the reference's order."""
WINNER_GOALS: tuple[str, ...] = get_args(WinnerGoal)
GOALS: tuple[str, str, str] = get_args(Goal)
STRENGTHEN, WEAKEN, BOTH = GOALS
ENOUGH_CLASSES = 2
"""So many are told apart by a sweep."""
BOTH_SIGNS = (-1.0, 1.0)
"""Feature factors of a grid for classes whose direction is not known."""
"""Of a winner there is one of `WINNER_GOALS`; a sweep may be for both."""
QUESTION = ("goal", "policy", "ratio", "any_feature_factor")
"""What moves the winner of a class."""
TOKEN_BOUNDARIES: tuple[TokenBoundary, TokenBoundary] = get_args(TokenBoundary)
REFERENCE, NATURAL = TOKEN_BOUNDARIES
PRECISIONS: tuple[str, str] = get_args(Precision)
FIRST_LOOKS: tuple[str, ...] = get_args(FirstLook)
GOING_STATES = ("queued", "running")
ACTIVE_STATES = (*GOING_STATES, "paused")
STOPPABLE_STATES = (*ACTIVE_STATES, "interrupted")
RESUMABLE_STATES = ("paused", "stopped", "interrupted")
"""In which the page offers to go on; a failed run is offered anew, and goes on where it is asked for by its id."""
SOURCES = FACTUAL, ALTERNATIVE, DIFF = ("factual", "alternative", "diff")
"""Whose gradients a GRADIEND reads, and what it is trained to give."""
SPLITS = ("train", "validation", "test")
HELD_OUT_SPLITS = ("test", "validation")
NO_NEUTRAL = "none"
"""How a request says that the evaluation rows stand in for neutral texts, although some lie beside the checkpoint."""
EXPORT_DTYPES, AS_BASE = ("float32", "float16", "bfloat16"), "base"
"""What a rewritten model can be stored as; as its base."""
MAX_CELLS = 10_000
MAX_TARGET_WORDS = 2000
MAX_CLASSES, MAX_CLASS_NAME = 1000, 200
"""Classes of a checkpoint or a table, and characters of a class's name."""
MOST_COMPARED_TEXTS, MOST_COMPARED_CELLS = 20, 4
MEGABYTE, GIGABYTE = 2**20, 2**30
DEFAULT_RATIO, MOST_RATIO = 0.99, 2.0
"""Which share of the base's LMS must stay: by default, and the largest that can be asked for."""
DEFAULT_PRECISION, BFLOAT16 = PRECISIONS
LMS_ERROR = "lms"
"""The name of the LMS among a score's errors."""
BASE_LMS = "base_lms"
"""In the LMS of a provisional score that is not corrected by it: what the base scores on the same texts."""

DEFAULT_LEARNING_RATES: tuple[float, ...] = tuple(
    factor * 10.0**exponent if exponent >= 0 else factor / 10.0**-exponent
    for exponent in range(-3, 3)
    for factor in (1.0, 2.0, 5.0)
    if factor * 10.0**exponent <= 100.0
)
"""1, 2, 5 x 10^e from 0.001 to 100: 16 values, ascending. Each is the float that its decimal spelling gives."""

DENSE_FEATURE_FACTORS: tuple[float, ...] = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)
"""The feature factors of the preset "dense 9 x 16", which pairs them with the default learning rates."""


def finite(value: object, what: str) -> float:
    """`value` as a finite float; anything else (NaN, infinity, text, bool) is refused by the name `what`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadGrid(f"{what} must be a number, not {shown(value)}.")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise BadGrid(f"{what} must be a finite number, not {number}.")
    return number + 0.0  # -0.0 and 0.0 are one value


def exact(number: float) -> str:
    """The number as short as it is exact: "0.1", "-1", "0.1000001"; of two numbers never the same."""
    short = f"{number:g}"
    return short if float(short) == number else repr(float(number))


@dataclass(frozen=True, order=True, slots=True)
class Shape:
    """Which of the update a cell takes: share of the decoder's bias, parameter groups, top_k (share of W's entries),
    slope over depth. Nothing computes another one than the whole update yet: it is refused."""

    share: float = 1.0
    groups: str | tuple[str, ...] = "all"
    top_k: float = 1.0
    slope: float = 0.0

    def __post_init__(self) -> None:
        for item in fields(self):
            given = getattr(self, item.name)
            if given != item.default:
                raise BadGrid(f"{item.name} of a cell can only be {shown(item.default)} so far, not {shown(given)}.")

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Shape:
        return cls(**{name: data[name] for name in SHAPE_NAMES if data.get(name) is not None})


WHOLE = Shape()
SHAPE_NAMES = frozenset(item.name for item in fields(Shape))
NO_CELL: Mapping[str, None] = {"feature_factor": None, "learning_rate": None}
"""How the base is named where a cell is."""


class CellPlace(TypedDict):
    """Which cell, in JSON: the update of `feature_factor` is added `learning_rate` times; part: where it is not the
    sweep's own."""

    feature_factor: float
    learning_rate: float
    part: NotRequired[Part]


@dataclass(frozen=True, order=True, slots=True)
class Cell:
    """One grid point: the update `u(part, feature_factor)` is added `learning_rate` times. Sorts as the grid does.

    part: None is the sweep's own. The one name of a cell: `as_json` is its spelling in every answer, file and record.
    """

    feature_factor: float
    learning_rate: float
    part: Part | None = field(default=None, hash=False)
    shape: Shape = field(default=WHOLE, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "feature_factor", finite(self.feature_factor, "feature_factor"))
        object.__setattr__(self, "learning_rate", finite(self.learning_rate, "learning_rate"))
        if self.part is not None:
            one_of(self.part, PARTS, "part")

    @classmethod
    def of(cls, data: object) -> Cell:
        """A cell from JSON; what else an answer tells of one (its score, say) is passed over. Raises BadGrid."""
        if not isinstance(data, Mapping) or not all(isinstance(data.get(name), int | float) for name in NO_CELL):
            raise BadGrid(f"A cell is named by the two numbers feature_factor and learning_rate, not {shown(data)}.")
        shape = WHOLE if SHAPE_NAMES.isdisjoint(data) else Shape.of(data)
        return cls(data["feature_factor"], data["learning_rate"], data.get("part"), shape)

    def as_json(self) -> CellPlace:
        """The two numbers, and the part where it is not the sweep's own: `Cell.of` makes an equal cell of it."""
        named: CellPlace = {"feature_factor": self.feature_factor, "learning_rate": self.learning_rate}
        if self.part is not None:
            named["part"] = self.part
        return named

    def in_sweep_of(self, part: str) -> Cell:
        """The same cell among those of a sweep of this part. Raises BadGrid for one of another part."""
        if self.part not in (None, part):
            raise BadGrid(f"This sweep is of part {part}: a cell of part {self.part} does not belong to it.")
        return Cell(self.feature_factor, self.learning_rate)


@dataclass(frozen=True)
class Grid:
    """Every pair of the two axes; both ascending and free of duplicates, at most `MAX_CELLS` pairs."""

    feature_factors: tuple[float, ...]
    learning_rates: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "feature_factors", axis(self.feature_factors, "feature_factors"))
        object.__setattr__(self, "learning_rates", axis(self.learning_rates, "learning_rates"))
        if len(self) > MAX_CELLS:
            raise TooLarge(f"The grid has {len(self):,} cells; at most {MAX_CELLS:,} are swept in one run.")

    def __len__(self) -> int:
        return len(self.feature_factors) * len(self.learning_rates)

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """All cells in ascending (feature_factor, learning_rate): the order of every tie and every table. Made once."""
        return tuple(Cell(ff, lr) for ff in self.feature_factors for lr in self.learning_rates)


def axis(values: Iterable[float], what: str) -> tuple[float, ...]:
    """The numbers ascending, each once. Raises BadGrid, by the name `what`, for anything else and for none."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise BadGrid(f"{what} must be a list of numbers, not {shown(values)}.")
    numbers = sorted({finite(value, f"Every entry of {what}") for value in values})
    if not numbers:
        raise BadGrid(f"{what} is empty: give at least one number.")
    return tuple(numbers)


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """The most that is scored at once: rows or texts, padded tokens, and positions with logits over a vocabulary.

    Part of a plan: chosen before a run, kept with it, never changed inside it.
    """

    rows: int = 32
    tokens: int = 4096
    points: int = 1024

    def halved(self) -> BatchLimits | None:
        """Half of each; None when a block is a single row already."""
        if self.rows == 1:
            return None
        return BatchLimits(self.rows // 2, max(1, self.tokens // 2), max(1, self.points // 2))


DEFAULT_LIMITS = BatchLimits()

ProbsByDataset = Mapping[str, Mapping[str, float]]


class MostSaidJson(TypedDict):
    """What is told of `MostSaid`."""

    token: str
    share: float


@dataclass(frozen=True, slots=True)
class MostSaid:
    """The token that a model says most often where the LMS asks it. share: of these places, in (0, 1].

    second, pair: the next one, and the share of both together. right, right_pair: the shares of the token, and the two
    tokens, that are right there most often: what texts of few words are like by themselves. places: how many; 0 in
    scores of versions before this one, which tell `token` and `share` alone.
    """

    token: str
    share: float
    second: str | None = None
    pair: float = 0.0
    right: float = 0.0
    right_pair: float = 0.0
    places: int = 0

    def to_json(self) -> MostSaidJson:
        """What is told; a score keeps all of it."""
        return {"token": self.token, "share": self.share}

    def broken_beside(self, base: MostSaid | None) -> Broken | None:
        """What a model that says this is broken by: it says the same nearly everywhere, and the base does not; None
        where it is not broken, and while the base's is not known.

        Told of one token at most places, or of two at nearly all, where that is `BROKEN_MARGIN` more of them than in
        the base and than would be right; never of a few places.
        """
        if base is None or 0 < self.places < LEAST_PLACES:
            return None
        if self.share >= max(BROKEN_SHARE, max(base.share, self.right) + BROKEN_MARGIN):
            return Broken(self.token, self.share, base.share)
        told = self.second is not None and base.pair > 0
        if told and self.pair >= max(BROKEN_PAIR, max(base.pair, self.right_pair) + BROKEN_MARGIN):
            return Broken(f"{self.token} / {self.second}", self.pair, base.pair)
        return None

    def broken_alone(self) -> MostSaidJson | None:
        """What a base model says nearly everywhere, one token or two in turn, where that is not what is right there;
        None for any other, for a few places, and for scores that do not tell what is right."""
        if self.places < LEAST_PLACES:
            return None
        if self.share >= max(BROKEN_SHARE, self.right + BROKEN_MARGIN):
            return {"token": self.token, "share": self.share}
        if self.second is not None and self.pair >= max(BROKEN_PAIR, self.right_pair + BROKEN_MARGIN):
            return {"token": f"{self.token} / {self.second}", "share": self.pair}
        return None


class Broken(NamedTuple):
    """token: what a broken model says, two tokens with a stroke between; share, base_share: of the places where it
    does, and where the base says its own so many most common ones."""

    token: str
    share: float
    base_share: float


SCORER_VERSION = 3
"""Part of every fingerprint: raise it whenever a change in `engine.sweep.plan` or the objectives may change a number.
Runs of another one are told as such (`server.answers.of_earlier_scorer`)."""
BROKEN_SHARE, BROKEN_PAIR, BROKEN_MARGIN = 0.5, 0.9, 0.25
LEAST_PLACES = 12


@dataclass(frozen=True, slots=True)
class CellScore:
    """What is known of one set of weights. `cell` is None for the base model.

    probs_by_dataset: {dataset class d: {class c: mean P(c) over the rows of d, in [0, 1]}}
    lms:  {"lms": in [0, 1], higher is better, ...}: masked models add accuracy, precision, recall, f1, hits and
          total; causal ones perplexity, total_log_likelihood and total_tokens. Empty before any text was scored.
    rows_done / rows_total: scored rows and texts out of all of them; equal in a final score.
    errors: {"d|c": of P(c) on the rows of d, "lms": of the LMS}. Of a provisional score the standard errors; of the
            final score of the base in another precision than float32 the differences from float32.
    precision: of the model's numbers; scores of different precisions are never mixed. most_said: None before any text
    was scored, and in scores of versions before this one.
    """

    cell: Cell | None
    status: Status = "pending"
    probs_by_dataset: ProbsByDataset = field(default_factory=dict)
    lms: Mapping[str, float] = field(default_factory=dict)
    rows_done: int = 0
    rows_total: int = 0
    reason: str | None = None
    errors: Mapping[str, float] = field(default_factory=dict)
    precision: str = DEFAULT_PRECISION
    most_said: MostSaid | None = None

    @property
    def is_final(self) -> bool:
        return self.status == "final"

    @property
    def lms_value(self) -> float | None:
        """The language-modelling score in [0, 1], or None before any neutral text was scored."""
        return self.lms.get("lms")

    @property
    def rounding(self) -> dict[str, float | None] | None:
        """How far a final score in another precision is from float32, where that was measured: {"probability": the
        largest difference of any, "lms"}, None for what is not known."""
        if self.precision == DEFAULT_PRECISION or not self.is_final or not self.errors:
            return None
        probabilities = [error for name, error in self.errors.items() if name != LMS_ERROR]
        return {
            "probability": finite_or_none(max(probabilities, default=None)),
            "lms": finite_or_none(self.errors.get(LMS_ERROR)),
        }

    def strengthen_metric(self, target_class: str, classes: Sequence[str], on_other_class: bool = True) -> float | None:
        """P(target_class) on the rows of the first *other* class, in class order, that has rows.

        on_other_class=False: the mean of P(target_class) over all scored datasets, each counted once.
        """
        if not on_other_class:
            found = [row[target_class] for row in self.probs_by_dataset.values() if target_class in row]
            return sum(found) / len(found) if found else None
        for other in classes:
            if other != target_class and target_class in self.probs_by_dataset.get(other, {}):
                return self.probs_by_dataset[other][target_class]
        return None

    def own_probability(self, target_class: str) -> float | None:
        """P(target_class) on its own rows; the metric of *weaken* is one minus this."""
        return self.probs_by_dataset.get(target_class, {}).get(target_class)

    def with_status(self, status: Status, reason: str | None = None) -> CellScore:
        return replace(self, status=status, reason=reason)

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary; numbers that are not finite become None (JSON has no NaN)."""
        return {
            **(NO_CELL if self.cell is None else self.cell.as_json()),
            "status": self.status,
            "probs_by_dataset": {
                d: {c: finite_or_none(p) for c, p in row.items()} for d, row in self.probs_by_dataset.items()
            },
            "lms": {name: finite_or_none(value) for name, value in self.lms.items()},
            "rows_done": self.rows_done,
            "rows_total": self.rows_total,
            "reason": self.reason,
            **({"errors": {name: finite_or_none(value) for name, value in self.errors.items()}} if self.errors else {}),
            **({} if self.precision == DEFAULT_PRECISION else {"precision": self.precision}),
            **({} if self.most_said is None else {"most_said": asdict(self.most_said)}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CellScore:
        def number(value: float | None) -> float:
            return math.nan if value is None else float(value)

        is_base = data["feature_factor"] is None
        return cls(
            cell=None if is_base else Cell.of(data),
            status=data["status"],
            probs_by_dataset={d: {c: number(p) for c, p in row.items()} for d, row in data["probs_by_dataset"].items()},
            lms={name: number(value) for name, value in data["lms"].items()},
            rows_done=data["rows_done"],
            rows_total=data["rows_total"],
            reason=data["reason"],
            errors={name: number(value) for name, value in data.get("errors", {}).items()},
            precision=data.get("precision", DEFAULT_PRECISION),
            most_said=MostSaid(**data["most_said"]) if data.get("most_said") else None,
        )


def error_key(dataset: str, name: str) -> str:
    """The name of P(name) on the rows of `dataset` among a score's errors."""
    return f"{dataset}|{name}"


def finite_or_none(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def lms_ratio(lms: float | None, base_lms: float | None) -> float | None:
    """LMS / base LMS: 1 where all is kept, above it where it grew; None for a base of 0 and where one is not known."""
    return lms / base_lms if lms is not None and base_lms else None


def one_of(value: object, accepted: Sequence[str], what: str) -> None:
    """Raises BadGrid, by the name `what`, for a value that is not accepted."""
    if value not in accepted:
        raise BadGrid(f"{what} must be one of {', '.join(accepted)}, not {shown(value)}.")
