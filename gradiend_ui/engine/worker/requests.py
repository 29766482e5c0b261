"""Everything that a worker can be asked, one frozen dataclass each, with the type of its answer.

Plain values only: a request crosses a pipe. What is asked is checked by its handler (`handlers/`, found through
`worker.HANDLERS`); what a visitor may ask at all is checked by `server`. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from gradiend_ui.engine.answers.checkpoint import StoredCard
from gradiend_ui.engine.answers.data import NeutralReport, RowsReport, TargetsReport
from gradiend_ui.engine.answers.model import CompareAnswer, RewriteAnswer
from gradiend_ui.engine.answers.run import OpenedSweep, StartedSweep, StateAnswer
from gradiend_ui.engine.sweep.spec import AskedSweep, DataChoice
from gradiend_ui.engine.values import Cell

Answer = TypeVar("Answer")
Options = Mapping[str, Any]
"""Options as somebody sent them: the handler says which there are."""
Most = Mapping[str, int]
"""The largest sweep that is taken: cells, rows, texts, characters; and how many may wait, runs and runs_each."""


class Request(Generic[Answer]):
    """What a worker can be asked; its answer is an `Answer`, or a `GradiendUIError` raised where it is asked."""


@dataclass(frozen=True)
class Wake(Request[None]):
    """Nothing: a worker that sleeps looks for work."""


# --- checkpoints ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Load(Request[StoredCard]):
    """Read a checkpoint; it stays in memory. The answer is its health card with its handle.

    name: what to call it instead of its folder; shown: the same with the seed that is open. kept: how many loaded
    checkpoints that no run uses stay in the store, None for all; the oldest go.
    """

    source: str
    options: Options
    name: str | None = None
    shown: str | None = None
    kept: int | None = None


@dataclass(frozen=True)
class Reload(Request[StoredCard]):
    """Read the source of a loaded checkpoint in another way; the answer is the new one's card, the old one stays.

    changes: towards {class: feature factor that pushes towards it}, swap (every direction turned round),
    as_files_say (directions as the files have them), base_model, chat_prompt, seed.
    """

    checkpoint: str
    changes: Options
    kept: int | None = None


@dataclass(frozen=True)
class OpenFinished(Request[OpenedSweep]):
    """A finished sweep that lies beside a loaded checkpoint as a run of the store; nothing is swept.

    file: its name, None for the only one.
    """

    checkpoint: str
    file: Any = None


# --- data before a sweep ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DescribeRows(Request[RowsReport]):
    """How the chosen rows were read, which columns are which, what can be scored (see `tables.report_table`)."""

    checkpoint: str
    data: DataChoice


@dataclass(frozen=True)
class RejectedRows(Request[str]):
    """Every one of the chosen rows that cannot be scored, as csv."""

    checkpoint: str
    data: DataChoice


@dataclass(frozen=True)
class ResolveTargets(Request[TargetsReport]):
    """Which words stand for each class in the asked sweep."""

    checkpoint: str
    asked: AskedSweep


@dataclass(frozen=True)
class DescribeNeutral(Request[NeutralReport]):
    """How good the asked sweep's neutral texts are for the threshold `ratio` (see `data_report.measure_neutral`).

    seconds: so long they are scored for this request, None for as long as it takes.
    """

    checkpoint: str
    asked: AskedSweep
    ratio: float
    most: Most = field(default_factory=dict)
    seconds: float | None = None


# --- sweeps -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StartSweep(Request[StartedSweep]):
    """Plan a sweep and queue it.

    visitor: whose turn it takes. key_hash: of the key that controls the run; the key itself is not known here.
    """

    checkpoint: str
    asked: AskedSweep
    visitor: str = ""
    key_hash: str = ""
    most: Most = field(default_factory=dict)


@dataclass(frozen=True)
class FinishCell(Request[StateAnswer]):
    """Score a cell that a search for the winner skipped."""

    run: str
    cell: Cell


@dataclass(frozen=True)
class DeleteRun(Request[None]):
    """Stop a run and forget it."""

    run: str


# --- one's own sentences ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Compare(Request[CompareAnswer]):
    """What the base and some cells of a run predict.

    options: top_k, continuation, skip_bad; with skip_bad a run without the words of its classes is compared all the
    same.
    """

    run: str
    cells: tuple[Cell, ...]
    texts: tuple[Any, ...]
    options: Options = field(default_factory=dict)


@dataclass(frozen=True)
class CompareAhead(Request[None]):
    """The same of one cell (None: the base), kept: a `Compare` of the run finds these answers done.

    So a large comparison is asked for in pieces, between which other requests come.
    """

    run: str
    cell: Cell | None
    texts: Sequence[str]
    options: Options = field(default_factory=dict)


@dataclass(frozen=True)
class CompareBase(Request[CompareAnswer]):
    """What the base of a loaded checkpoint predicts, before there is any sweep."""

    checkpoint: str
    texts: tuple[Any, ...]
    options: Options = field(default_factory=dict)


# --- exports ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rewriting:
    """One rewritten model. cell: its part is None for the run's. dtype: a name, "base", or None for the scored one.
    chosen_for: a sentence for its card, or None."""

    cell: Cell
    dtype: Any = None
    chosen_for: str | None = None


@dataclass(frozen=True)
class DescribeExport(Request[RewriteAnswer]):
    """What an `Export` would write under this name. tells_paths: whether card and script may name folders."""

    run: str
    rewriting: Rewriting
    name: str
    tells_paths: bool = False


@dataclass(frozen=True)
class Export(Request[str]):
    """Write a checkpoint; the answer is its finished folder. folder: where it goes, new, below the data folder."""

    run: str
    rewriting: Rewriting
    folder: str


@dataclass(frozen=True)
class Pack(Request[str]):
    """Zip a folder; the answer is the finished file, as given."""

    folder: str
    zip: str
