"""What is told of rows, words and neutral texts before a sweep, and how a spec names them.

Plain dictionaries at run time, as JSON has them. What an answer may lack is `NotRequired`. Knows no table and no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NotRequired, TypedDict

RowCounts = list[list[str | int]]
"""[label class, alternative class, split, number of rows], each combination once."""
WordsByClass = Mapping[str, Sequence[str]]


class RowsSummary(TypedDict):
    """How many rows of which kind, and a few words of each class."""

    row_counts: RowCounts
    target_words: dict[str, list[str]]


class GivenData(TypedDict, total=False):
    """Rows or texts that are named and not given: by an upload's id and what its file is called, or by a run.

    encoding: as a person says it, left out where it is to be found out.
    """

    upload: str
    name: str
    run: str
    encoding: str


class DataSpec(TypedDict, total=False):
    """The part of a sweep's spec that is about data; what is left out is as the checkpoint has it.

    columns: {our name: the table's}. count_as: {class in the table: the checkpoint's, "" to leave its rows out}.
    max_rows, max_neutral: caps, from 1. targets: {class: words}, or "label" for the label of each row. neutral_set: a
    set beside the checkpoint, "none" for the rows themselves.
    """

    rows: GivenData
    columns: Mapping[str, str]
    count_as: Mapping[str, str]
    split: str
    max_rows: int
    max_neutral: int
    targets: WordsByClass | str
    neutral: GivenData
    neutral_set: str


class ChosenData(TypedDict, total=False):
    """What is chosen as data before a sweep. seconds_per_cell: about, with it; None where that is not known. unusable:
    whether own rows cannot be scored, which is told where they are described."""

    spec: DataSpec
    unusable: bool
    seconds_per_cell: float | None


class RunData(TypedDict):
    """What a run was measured on, for a page to show and use again. rows_left_out: of its table, as they cannot be
    scored."""

    spec: DataSpec
    row_counts: RowCounts
    rows_left_out: int
    target_words: dict[str, list[str]]


class RejectedLine(TypedDict):
    """A row that cannot be scored. number: from 1; reason_text: the reason as a page words it, [key, values]."""

    number: int
    reason: str
    reason_text: object


class RowsFound(TypedDict):
    """What of a table can be scored. rows, rejected_count: counts; rejected: the first of them; dropped: {kind of
    reason: rows}, see `rows.DROPPED`; notes: sentences; notes_text: the same as a page words them, [key, values]."""

    rows: int
    rejected_count: int
    rejected: list[RejectedLine]
    dropped: dict[str, int]
    row_counts: RowCounts
    notes: list[str]
    notes_text: list[object]


class UnknownClass(TypedDict):
    """A class of an own table that the checkpoint does not know. count: rows that name it. counts_as: what it counts as
    by choice, "" for left out, None where nothing is chosen; suggested: what it most likely means, None if unclear."""

    name: str
    count: int
    counts_as: str | None
    suggested: str | None


class TableRead(TypedDict):
    """How an own table was read. columns: {our name: the table's}, as given or guessed; how: {our name: "name" or
    "content"}, what a guess went by. first: the first rows, {column: cell}; samples: two
    rows with letters beyond ASCII."""

    own: bool
    kind: str
    encoding: str | None
    delimiter: str | None
    table_rows: int
    table_columns: list[str]
    columns: dict[str, str]
    how: dict[str, str]
    first: list[dict[str, str]]
    unknown_classes: list[UnknownClass]
    known_classes: list[str]
    samples: list[str]


class RowsReport(RowsFound):
    """How the rows of a spec were read and what can be scored; the keys of `TableRead` for an own table only.

    problem: why they cannot be scored (yet), None where they
    can; problem_text: the same as a page words it.
    """

    own: bool
    first: list[dict[str, str]]
    classes: list[str]
    target_words: dict[str, list[str]]
    problem: str | None
    problem_text: NotRequired[object]
    kind: NotRequired[str]
    encoding: NotRequired[str | None]
    delimiter: NotRequired[str | None]
    table_rows: NotRequired[int]
    table_columns: NotRequired[list[str]]
    columns: NotRequired[dict[str, str]]
    how: NotRequired[dict[str, str]]
    unknown_classes: NotRequired[list[UnknownClass]]
    known_classes: NotRequired[list[str]]
    samples: NotRequired[list[str]]


class WordWay(TypedDict):
    """One way to write a word: vocabulary ids, and the entries they stand for."""

    ids: list[int]
    pieces: list[str]


class WordAnswer(TypedDict):
    """What a word is to the model. spellings: all that the model takes for the same.

    natural: ways read with the natural token boundary, None where it makes no difference. first_piece_only: of several
    pieces only the first is read. shared: other classes read at the same ids. problem: why it has no ids.
    """

    word: str
    spellings: list[str]
    ways: list[WordWay]
    natural: list[WordWay] | None
    several_pieces: bool
    first_piece_only: bool
    unknown: bool
    shared: list[str]
    problem: str | None


class ClassWords(TypedDict):
    """The first words of a class, and how many `more` were not looked up."""

    name: str
    words: list[WordAnswer]
    more: int


class TargetsReport(TypedDict):
    """What the words of a spec resolve to. mode: where they come from, the rows' own, given ("own"), or each row's
    label. row_wise: each row is scored by its own words. words: all of them, as a spec takes them."""

    mode: Literal["rows", "own", "label"]
    row_wise: bool
    words: dict[str, list[str]]
    classes: list[ClassWords]


class ThresholdFacts(TypedDict):
    """What keeping a share of the base's LMS allows; of a part of the texts scaled up to all `scored_tokens`.

    Masked models: hits (tokens predicted right), width_tokens (how many hits the share is worth), may_lose (how many
    may be lost). Others: the base's perplexity (smaller is better) and the largest that passes.
    """

    lms: float
    scored_tokens: int
    hits: NotRequired[int]
    width_tokens: NotRequired[float]
    may_lose: NotRequired[int]
    perplexity: NotRequired[float]
    perplexity_limit: NotRequired[float]


class NeutralMeasured(ThresholdFacts):
    """What the base model makes of neutral texts. tokens: that count; seconds_per_cell: from one block of each kind."""

    texts: int
    tokens: int
    rows: int
    seconds_per_cell: float
    warnings: list[str]


class NeutralReport(NeutralMeasured):
    """The same with the set's name (None: the rows stand in) and the share of the LMS that is asked for, in (0, 1].

    first: the first of own texts; encoding: as these were read; notes, notes_text: on how, see `RowsFound`.
    """

    name: str | None
    ratio: float
    first: list[str]
    encoding: str | None
    notes: list[str]
    notes_text: list[object]
