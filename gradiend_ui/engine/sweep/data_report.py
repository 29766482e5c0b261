"""What a sweep would be measured on, told before it: rows by class and split, and what neutral texts are worth.

Also how many rows a choice of split, classes and limit takes, and what that does to the time of a cell: plain counts
per pair of classes and split, small enough for a page to keep. Knows tables, rows and a prepared sweep; no process and
no page.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from gradiend_ui.engine.answers.data import NeutralMeasured, RowsFound, ThresholdFacts
from gradiend_ui.engine.data.encodings import REPLACED
from gradiend_ui.engine.data.forms.choice import SPLITS_OF_ROLE
from gradiend_ui.engine.data.roles import COLUMNS
from gradiend_ui.engine.data.rows import EvalData, EvalRow, RejectedRow
from gradiend_ui.engine.data.table_reading import ReadTable
from gradiend_ui.engine.files.csv_text import csv_text
from gradiend_ui.engine.values import HELD_OUT_SPLITS, Cell

ALL = "all"
Counts = Sequence[Sequence[str | int]]
"""[label class, alternative class, split, number of rows], each combination once."""


def count_rows(rows: Iterable[EvalRow]) -> list[list[str | int]]:
    """`Counts` of the rows, in the order in which the combinations first occur."""
    counted: dict[tuple[str, str, str], int] = {}
    for row in rows:
        key = (row.label_class, row.alternative_class, row.split)
        counted[key] = counted.get(key, 0) + 1
    return [[*key, number] for key, number in counted.items()]


def splits_of(counts: Counts, classes: Sequence[str]) -> dict[str, int]:
    """{split: rows between the classes}, then "all"; train, validation and test come first."""
    found: dict[str, int] = {}
    for label_class, alternative_class, split, number in counts:
        if label_class in classes and alternative_class in classes:
            found[str(split)] = found.get(str(split), 0) + int(number)
    order = SPLITS_OF_ROLE["decoder"]
    ordered = sorted(found, key=lambda name: (order.index(name) if name in order else len(order), name))
    return {**{name: found[name] for name in ordered}, ALL: sum(found.values())}


def default_split(splits: Mapping[str, int]) -> str:
    """test where there is one, else validation, else every row."""
    return next((name for name in HELD_OUT_SPLITS if splits.get(name)), ALL)


def chosen_count(counts: Counts, classes: Sequence[str], split: str, max_rows: int | None) -> int:
    """How many rows `EvalData.chosen` takes: a limit holds per pair of classes."""
    pairs: dict[tuple[str, str], int] = {}
    for label_class, alternative_class, name, number in counts:
        if label_class in classes and alternative_class in classes and split in (ALL, name):
            key = (str(label_class), str(alternative_class))
            pairs[key] = pairs.get(key, 0) + int(number)
    return sum(number if max_rows is None else min(number, max_rows) for number in pairs.values())


def scaled_seconds(seconds: float | None, items: int, other_items: int) -> float | None:
    """Seconds for `other_items` rows and texts where `items` took `seconds`; None where that is not known."""
    return None if seconds is None or items < 1 else seconds / items * other_items


if TYPE_CHECKING:  # it needs torch, which a process that only reads tables does without
    from gradiend_ui.engine.sweep.plan import PreparedSweep

FIRST_ROWS, SHOWN_TEXTS = 5, 2
SHOWN_REJECTED = 50
LONGEST_CELL = 200
BUDGET_SECONDS = 5.0
"""How long the base model is scored on neutral texts before the rest is estimated."""


def first_rows(read: ReadTable) -> list[dict[str, str]]:
    """The first rows as read, {column: cell}; long cells are cut off."""
    head = read.frame.head(FIRST_ROWS).to_dict(orient="records")
    return [{str(name): _shown(cell) for name, cell in row.items()} for row in head]


def samples(read: ReadTable) -> list[str]:
    """Two different rows with characters beyond ASCII, which show a wrong encoding, those with replaced bytes first;
    only the cells that hold some."""
    found: dict[str, None] = {}
    replaced: dict[str, None] = {}
    for row in zip(*(read.frame[name].tolist() for name in read.frame.columns), strict=True):
        cells = [cell for cell in map(_text, row) if not cell.isascii()]
        if cells:
            told = _shown(" · ".join(cells))
            (replaced if REPLACED in told else found)[told] = None
        if len(replaced) >= SHOWN_TEXTS:
            break
    return [*replaced, *found][:SHOWN_TEXTS]


def first_checked(data: EvalData) -> list[dict[str, str]]:
    """The first checked rows, {role: cell}, for data whose table is not at hand."""
    return [{role: _shown(getattr(row, role)) for role in COLUMNS} for row in data.rows[:FIRST_ROWS]]


def first_texts(texts: Sequence[str]) -> list[str]:
    """Two of the texts as they were read, those with characters beyond ASCII first: these show a wrong encoding."""
    telling = [text for text in texts if not text.isascii()]
    return list(map(_shown, list(dict.fromkeys([*telling, *texts]))[:SHOWN_TEXTS]))


def rows_found(data: EvalData) -> RowsFound:
    """Counts, the first rejected rows (numbered from 1) and what was filled in."""
    return {
        "rows": len(data.rows),
        "rejected_count": len(data.rejected),
        "rejected": [
            {"number": row.number + 1, "reason": row.reason, "reason_text": row.why.to_json()[1:]}
            for row in data.rejected[:SHOWN_REJECTED]
        ],
        "dropped": data.dropped,
        "row_counts": count_rows(data.rows),
        "notes": [note.sentence for note in data.notes],
        "notes_text": [note.to_json()[1:] for note in data.notes],
    }


def rejected_csv(rejected: Sequence[RejectedRow], read: ReadTable | None) -> str:
    """The rejected rows as a csv: row, reason, then the table's own columns. No cell begins a formula."""
    names = [] if read is None else [str(name) for name in read.frame.columns]
    lines: list[list[Any]] = [["row", "reason", *names]]
    for row in rejected:
        cells = [] if read is None else read.frame.iloc[row.number].tolist()
        lines.append([row.number + 1, row.reason, *map(_text, cells)])
    return csv_text(lines, "\r\n")


class Results(Protocol):
    """What is needed of a store: the block results that exist, and a place for new ones."""

    def results(self, fingerprint: str, cell: Cell | None) -> dict[int, NDArray[Any]]: ...

    def keep_results(self, fingerprint: str, cell: Cell | None, results: Mapping[int, NDArray[Any]]) -> None: ...


def measure_neutral(
    plan: PreparedSweep,
    base: Any,
    store: Results,
    ratio: float,
    clock: Callable[[], float] = time.monotonic,
    *,
    seconds: float | None = None,
) -> NeutralMeasured:
    """What the base model makes of the plan's neutral texts, and what keeping the share `ratio` of it means.

    base: the base model as a sweep of the plan scores it. It is scored here for at most `seconds`, None for
    BUDGET_SECONDS; its blocks go to the store, where the sweep finds them.
    Gives texts, tokens (that count), scored_tokens, lms in [0, 1], then for masked models hits, width_tokens and
    may_lose, for others perplexity and perplexity_limit; seconds_per_cell from one block of rows and one of texts.
    """
    rows = len(plan.objective.blocks)
    sizes = plan.block_sizes
    results = store.results(plan.fingerprint, None)
    new: dict[int, NDArray[Any]] = {}
    started, timed = clock(), {}
    for block in (*range(rows, len(sizes)), 0):
        known = block in results and block not in (0, rows)
        if known or (block and clock() - started > (BUDGET_SECONDS if seconds is None else seconds)):
            continue
        begun = clock()
        new[block] = plan.score_block(base, block)
        timed[block] = (clock() - begun) / max(1, sizes[block])
    store.keep_results(plan.fingerprint, None, {block: new[block] for block in new if block not in results})
    results |= new
    texts = {block - rows: result for block, result in results.items() if block >= rows}
    per_text = [seconds for block, seconds in timed.items() if block >= rows]
    return {
        "texts": sum(sizes[rows:]),
        "tokens": plan.lms.tokens,
        "rows": len(plan.rows),
        **threshold_told(plan.lms.summarise(texts), plan.lms.tokens, ratio),
        "seconds_per_cell": timed[0] * sum(sizes[:rows]) + (min(per_text) if per_text else 0.0) * sum(sizes[rows:]),
        "warnings": list(plan.warnings),
    }


def threshold_told(lms: Mapping[str, float], tokens: int, ratio: float) -> ThresholdFacts:
    """What keeping `ratio` of this base score allows; hits of a part of the texts are scaled up to all tokens."""
    if "hits" in lms:
        hits = lms["hits"] * tokens / lms["total"]
        return {
            "lms": lms["lms"],
            "scored_tokens": int(lms["total"]),
            "hits": round(hits),
            "width_tokens": (1.0 - ratio) * hits,
            "may_lose": round(hits) - math.ceil(round(ratio * round(hits), 9)),
        }
    loss = 1.0 / lms["lms"] - 1.0 if lms["lms"] else math.inf
    allowed = (1.0 + loss) / ratio - 1.0
    return {
        "lms": lms["lms"],
        "scored_tokens": int(lms["total_tokens"]),
        "perplexity": lms["perplexity"],
        "perplexity_limit": math.exp(allowed) if allowed < 700 else math.inf,
    }


def _shown(cell: object) -> str:
    text = _text(cell)
    return text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]}…"


def _text(cell: object) -> str:
    return "" if cell is None or cell != cell else str(cell)
