"""Runs and numbers in one SQLite file: what was asked, how far it is, every scored block, and what people noted.

The unit is (fingerprint, cell, block): raw results of a fixed block of rows or texts under one set of weights. Equal
requests share these numbers; a run itself belongs to whoever has its id. A run's `state` is its only control: the
worker goes on while it reads "running". Knows no torch; safe to use from several threads and processes at once.
"""

from __future__ import annotations

import io
import json
import logging
import secrets
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gradiend_ui.engine.errors import Busy, Failed, GradiendUIError, NotFound
from gradiend_ui.engine.store.made import MADE_TABLE, MadeList
from gradiend_ui.engine.store.turns import Waiting, fair_order
from gradiend_ui.engine.values import GOING_STATES, Cell, CellScore

log = logging.getLogger(__name__)
SCHEMA_VERSION = 4
"""2 added names and notes of runs, 3 whose they are and who may write, 4 adds hashes of their keys and what the app
made; an older file gets these tables."""
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS checkpoints (
    id TEXT PRIMARY KEY, source TEXT NOT NULL, options TEXT NOT NULL, card TEXT NOT NULL, created REAL NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY, checkpoint TEXT NOT NULL, request TEXT NOT NULL, info TEXT NOT NULL, state TEXT NOT NULL,
    rev INTEGER NOT NULL, done INTEGER NOT NULL, total INTEGER NOT NULL, eta REAL, error TEXT,
    created REAL NOT NULL, queued REAL NOT NULL);
CREATE TABLE IF NOT EXISTS run_cells (
    run TEXT NOT NULL, place INTEGER NOT NULL, rev INTEGER NOT NULL, score TEXT NOT NULL,
    PRIMARY KEY (run, place)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS results (
    fingerprint TEXT NOT NULL, cell TEXT NOT NULL, block INTEGER NOT NULL, result BLOB NOT NULL,
    PRIMARY KEY (fingerprint, cell, block)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS run_labels (run TEXT PRIMARY KEY, name TEXT NOT NULL, note TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS servers (number INTEGER PRIMARY KEY AUTOINCREMENT, began REAL NOT NULL);
CREATE TABLE IF NOT EXISTS run_visitors (run TEXT PRIMARY KEY, visitor TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS run_keys (run TEXT PRIMARY KEY, hash TEXT NOT NULL) WITHOUT ROWID;
{MADE_TABLE};
"""
OPTIONAL_TABLES = ("run_labels", "run_visitors", "servers", "run_keys", "made")
"""What an older file may lack."""
_RUN = (
    "SELECT id, checkpoint, request, info, state, rev, done, total, eta, error, created, "
    "COALESCE(name, ''), COALESCE(note, '') FROM runs LEFT JOIN run_labels ON run_labels.run = runs.id"
)


_WITH_VISITOR = "LEFT JOIN run_visitors ON run_visitors.run = runs.id"
SPELLING = "spelling"
"""In what is noted of a run: how its fingerprint is spelled. Runs without it are of versions whose fingerprints covered
the place that the base model was loaded from."""
_TODAY = f'{{"{SPELLING}": 2, '
_FORMER = f"instr(info, '\"{SPELLING}\"') = 0 AND instr(info, '\"fingerprint\"')"
_CALLED = "fingerprint >= ? AND fingerprint < ?"
_IS_CALLED = f"SELECT EXISTS(SELECT 1 FROM results WHERE {_CALLED}) OR EXISTS(SELECT 1 FROM runs WHERE instr(info, ?))"
_CALL_RESULTS = (
    "INSERT OR IGNORE INTO results SELECT ? || substr(fingerprint, ?), cell, block, result FROM results "
    f"WHERE {_CALLED}"
)
_RESULT_CELLS = "SELECT DISTINCT cell FROM results WHERE fingerprint = ?"
_RESULT_SIZES = "SELECT cell, SUM(LENGTH(result)) FROM results WHERE fingerprint = ? GROUP BY cell"


@dataclass(frozen=True, slots=True)
class Run:
    """One row of the table of runs. `done` and `total` count cells without the base.

    name, note: what a person wrote on it, "" where nothing was.
    """

    id: str
    checkpoint: str
    request: Mapping[str, Any]
    info: Mapping[str, Any]
    state: str
    rev: int
    done: int
    total: int
    eta_seconds: float | None
    error: str | None
    created: float
    name: str = ""
    note: str = ""


def cell_key(cell: Cell | None) -> str:
    """The spelling of a cell in the store: exact, and the same in every process."""
    return "base" if cell is None else f"{cell.feature_factor!r},{cell.learning_rate!r}"


def expected_columns() -> dict[str, set[str]]:
    """{table: its columns}, as a new store has them."""
    with closing(sqlite3.connect(":memory:")) as blank:
        blank.executescript(_SCHEMA)
        tables = [row[0] for row in blank.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")]
        return {table: {row[1] for row in blank.execute(f"PRAGMA table_info({table})")} for table in tables}


class Named(Protocol):
    """What results are kept of. former_names: {as versions before this one called them: today's name}."""

    @property
    def former_names(self) -> Mapping[str, str]: ...


def fingerprints_of(run: Run) -> tuple[str, ...]:
    """Under which names the block results of a run are stored: the shared ones (of its precision, and of others that it
    looks into) and those of a run scored again."""
    shared = run.info.get("fingerprint")
    names = [str(shared), *run.info.get("other_fingerprints", ())] if shared else []
    return tuple(name for shared_name in names for name in (shared_name, f"{shared_name}/{run.id}"))


class Store(MadeList):
    """The tables in the file at `path`, created when absent; ":memory:" keeps it in this process (one thread only).

    server: the number that `begin_server` gave; writing is refused once a later server has taken the file over, so that
    a worker that outlives its server does no harm. None writes always.
    """

    def __init__(self, path: Path | str, server: int | None = None) -> None:
        super().__init__(path)
        self._server = server
        with self._writing() as db:
            for statement in _SCHEMA.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def begin_server(self) -> int:
        """Take the file over: stores opened for an earlier number can write no more."""
        with self._writing() as db:
            number = db.execute("INSERT INTO servers (began) VALUES (?)", (time.time(),)).lastrowid
            db.execute("DELETE FROM servers WHERE number < ?", (number,))
        self._server = number
        return int(number or 0)

    def _check_right_to_write(self, connection: sqlite3.Connection) -> None:
        if self._server is None:
            return
        newest = connection.execute("SELECT MAX(number) FROM servers").fetchone()[0]
        if newest != self._server:
            raise Failed("Another server has taken over this data folder: this one writes no more.")

    # --- checkpoints ---------------------------------------------------------------------------------------------

    def save_checkpoint(self, handle: str, source: str, options: Mapping[str, Any], card: Mapping[str, Any]) -> None:
        with self._writing() as db:
            db.execute(
                "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?)",
                (handle, source, json.dumps(options, sort_keys=True), json.dumps(card), time.time()),
            )

    def checkpoint(self, handle: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """(source, options, card) of a loaded checkpoint. Raises NotFound, and Failed for a damaged record."""
        _check_id(handle)
        row = self._one("SELECT source, options, card FROM checkpoints WHERE id = ?", (handle,))
        if row is None:
            told = NotFound("There is no such checkpoint, or no longer: load it again.")
            raise told.known_as("load.no_checkpoint")
        try:
            return row[0], _object(row[1]), _object(row[2])
        except ValueError as error:
            raise Failed("The record of this checkpoint is damaged: load it again.") from error

    def use_checkpoint(self, handle: str) -> dict[str, Any] | None:
        """The card of a loaded checkpoint, which counts as loaded now; None where there is no readable record."""
        with self._writing() as db:
            db.execute("UPDATE checkpoints SET created = ? WHERE id = ?", (time.time(), handle))
        try:
            return self.checkpoint(handle)[2]
        except (NotFound, Failed):
            return None

    def drop_checkpoints(self, most: int) -> int:
        """Forget the oldest loaded checkpoints that no run uses, but the `most` newest of them; gives how many."""
        with self._writing() as db:
            return db.execute(
                "DELETE FROM checkpoints WHERE id IN (SELECT id FROM checkpoints WHERE id NOT IN "
                "(SELECT checkpoint FROM runs) ORDER BY created DESC, id LIMIT -1 OFFSET ?)",
                (most,),
            ).rowcount

    def checkpoint_sources(self) -> list[tuple[str, str, dict[str, Any], float]]:
        """(handle, source, options, when it was loaded) of every checkpoint that was loaded here; of a damaged record
        no options."""
        found = []
        for handle, source, options, created in self._all("SELECT id, source, options, created FROM checkpoints"):
            try:
                found.append((handle, source, _object(options), float(created)))
            except ValueError:
                log.warning("the record of checkpoint %s is damaged", handle)
                found.append((handle, source, {}, float(created)))
        return found

    # --- runs ----------------------------------------------------------------------------------------------------

    def create_run(
        self,
        checkpoint: str,
        request: Mapping[str, Any],
        info: Mapping[str, Any],
        cells: Sequence[Cell],
        visitor: str = "",
        key_hash: str = "",
    ) -> str:
        """Queue a run over `cells` (ascending) and the base, in the visitor's turn; returns its unguessable id.

        key_hash: of the key that controls it (`run_keys.hashed`), "" for none.
        """
        scores = [CellScore(None), *(CellScore(cell) for cell in cells)]
        return self._insert(checkpoint, request, info, scores, "queued", visitor, key_hash)

    def create_finished_run(
        self, checkpoint: str, request: Mapping[str, Any], info: Mapping[str, Any], scores: Sequence[CellScore]
    ) -> str:
        """Keep a run that was scored elsewhere: the base first, then its cells ascending; returns its id."""
        return self._insert(checkpoint, request, info, scores, "finished")

    def _insert(
        self,
        checkpoint: str,
        request: Mapping[str, Any],
        info: Mapping[str, Any],
        scores: Sequence[CellScore],
        state: str,
        visitor: str = "",
        key_hash: str = "",
    ) -> str:
        run, now, total = secrets.token_urlsafe(12), time.time(), len(scores) - 1
        done = total if state == "finished" else 0
        with self._writing() as db:
            db.execute(
                "INSERT INTO runs VALUES (?, ?, ?, ?, ?, 1, ?, ?, NULL, NULL, ?, ?)",
                (run, checkpoint, json.dumps(request), json.dumps({SPELLING: 2, **info}), state, done, total, now, now),
            )
            if visitor:
                db.execute("INSERT INTO run_visitors VALUES (?, ?)", (run, visitor))
            if key_hash:
                db.execute("INSERT INTO run_keys VALUES (?, ?)", (run, key_hash))
            db.executemany(
                "INSERT INTO run_cells VALUES (?, ?, 1, ?)",
                [(run, place, json.dumps(score.to_json())) for place, score in enumerate(scores)],
            )
        return run

    def run(self, run: str) -> Run:
        """The run with this id. Raises NotFound."""
        _check_id(run)
        row = self._one(f"{_RUN} WHERE id = ?", (run,))
        if row is None:
            raise _no_run()
        return _run_of(row)

    def runs(self, most: int | None = None) -> list[Run]:
        """All runs, or the `most` newest ones; newest first."""
        rows = self._all(f"{_RUN} ORDER BY created DESC, id LIMIT ?", (-1 if most is None else most,))
        return list(_readable(rows))

    def resting_runs(self, before: float) -> list[str]:
        """The runs that were neither made, queued, nor moved to another state since then, in seconds since 1970."""
        query = "SELECT id FROM runs WHERE MAX(created, queued) < ? AND state NOT IN ('queued', 'running')"
        return [row[0] for row in self._all(query, (before,))]

    def count_runs(self) -> int:
        return int(self._one("SELECT COUNT(*) FROM runs", ())[0])

    def is_running(self, run: str) -> bool:
        """Whether the run exists and is the one that is being swept."""
        return self._one("SELECT 1 FROM runs WHERE id = ? AND state = 'running'", (run,)) is not None

    def label_run(self, run: str, name: str, note: str) -> None:
        """Keep a person's name and note for the run. Raises NotFound."""
        self.revision(run)
        with self._writing() as db:
            db.execute("INSERT OR REPLACE INTO run_labels VALUES (?, ?, ?)", (run, name, note))

    def delete_run(self, run: str) -> None:
        """Remove the run, its label, its cells, and the block results that no other run needs.

        Of a damaged run, nobody knows which these are: they stay.
        Raises NotFound, and Busy for a run that is being swept: whoever sweeps it would write on.
        """
        try:
            record = self.run(run)
        except Failed:
            self.revision(run)  # a store that cannot be read is another matter
            record = None
        with self._writing() as db:
            gone = db.execute("DELETE FROM runs WHERE id = ? AND state != 'running'", (run,)).rowcount
            if not gone:
                raise Busy("This run is being swept: stop it, then delete it.").known_as("runs.being_swept")
            db.execute("DELETE FROM run_labels WHERE run = ?", (run,))
            db.execute("DELETE FROM run_visitors WHERE run = ?", (run,))
            db.execute("DELETE FROM run_keys WHERE run = ?", (run,))
            db.execute("DELETE FROM run_cells WHERE run = ?", (run,))
            db.executemany(
                "DELETE FROM results WHERE fingerprint = ? AND cell = ?",
                [(name, key) for name, keys in self._unneeded(record).items() for key in keys] if record else [],
            )
        self._give_back_space()

    def _unneeded(self, record: Run) -> dict[str, set[str]]:
        """{fingerprint: cells} of the stored results that only `record`, which is no longer listed, asked for."""
        names = fingerprints_of(record)
        unneeded = {name: {row[0] for row in self._all(_RESULT_CELLS, (name,))} for name in names}
        for other in self.runs():
            for name in set(names) & set(fingerprints_of(other)):
                try:
                    unneeded[name] -= self._cell_keys(other.id)
                except Failed:  # nobody knows what it needs: all of it stays
                    unneeded[name].clear()
        return unneeded

    def size_of(self, record: Run) -> int:
        """Bytes of the run's scores and block results; numbers that runs share count for each of them."""
        own = self._one("SELECT COALESCE(SUM(LENGTH(score)), 0) FROM run_cells WHERE run = ?", (record.id,))[0]
        wanted = self._cell_keys(record.id)
        shared = [
            int(size)
            for name in fingerprints_of(record)
            for cell, size in self._all(_RESULT_SIZES, (name,))
            if cell in wanted
        ]
        return int(own) + sum(shared)

    def _cell_keys(self, run: str) -> set[str]:
        """The base and every cell of the run, as the results spell them."""
        return {cell_key(score.cell) for score in self.cells(run)[1]}

    def revision(self, run: str) -> tuple[int, str]:
        """(rev, state), cheap enough to poll. Raises NotFound."""
        _check_id(run)
        row = self._one("SELECT rev, state FROM runs WHERE id = ?", (run,))
        if row is None:
            raise _no_run()
        return int(row[0]), str(row[1])

    def position(self, run: str) -> int:
        """How many runs are in front of a queued run; 0 for any other."""
        order = self._queue()
        return order.index(run) + self._count("running") if run in order else 0

    def next_queued(self) -> str | None:
        """The run whose turn it is, None when nobody waits."""
        return next(iter(self._queue()), None)

    def active_runs(self, visitor: str | None = None) -> int:
        """How many runs are queued or running: those of one visitor, None counts all."""
        query = f"SELECT COUNT(*) FROM runs {_WITH_VISITOR} WHERE state IN ('queued', 'running')"
        if visitor is None:
            return int(self._one(query, ())[0])
        return int(self._one(f"{query} AND COALESCE(visitor, '') = ?", (visitor,))[0])

    def visitor(self, run: str) -> str:
        """Whose run it is; "" where nobody was noted."""
        _check_id(run)
        row = self._one("SELECT visitor FROM run_visitors WHERE run = ?", (run,))
        return "" if row is None else str(row[0])

    def key_hashes(self, runs: Sequence[str]) -> dict[str, str]:
        """{run: hash of its key} of those runs that are there and have one."""
        marks = ", ".join("?" * len(runs))
        query = f"SELECT run, hash FROM run_keys JOIN runs ON runs.id = run_keys.run WHERE run IN ({marks})"
        return {str(run): str(digest) for run, digest in self._all(query, tuple(runs))}

    def _queue(self) -> list[str]:
        """The queued runs, next one first (see `fair_queue`)."""
        waiting = self._all(
            f"SELECT id, COALESCE(visitor, ''), queued FROM runs {_WITH_VISITOR} WHERE state = 'queued'"
        )
        if len(waiting) < 2:
            return [row[0] for row in waiting]
        served = self._all(
            f"SELECT COALESCE(visitor, ''), MAX(queued) FROM runs {_WITH_VISITOR} WHERE state != 'queued' GROUP BY 1"
        )
        return fair_order([Waiting(*row) for row in waiting], dict(served))

    def _count(self, state: str) -> int:
        return int(self._one("SELECT COUNT(*) FROM runs WHERE state = ?", (state,))[0])

    def set_info(self, run: str, info: Mapping[str, Any]) -> None:
        """Replace what is noted about the run."""
        _check_id(run)
        with self._writing() as db:
            db.execute("UPDATE runs SET info = ? WHERE id = ?", (json.dumps(info, default=float), run))

    def set_state(self, run: str, state: str, *, only_from: Sequence[str], error: str | None = None) -> str:
        """Move the run to `state` when it is in one of `only_from`; returns the state it is in then."""
        _check_id(run)
        marks = ", ".join("?" * len(only_from))
        with self._writing() as db:
            db.execute(
                f"UPDATE runs SET state = ?, error = ?, rev = rev + 1, eta = NULL, queued = ? "
                f"WHERE id = ? AND state IN ({marks})",
                (state, error, time.time(), run, *only_from),
            )
        return self.revision(run)[1]

    def plan_again(self, run: str, info: Mapping[str, Any]) -> None:
        """Begin the run anew under another plan: nothing of it is scored yet, and it waits for its turn."""
        _check_id(run)
        scores = [CellScore(score.cell) for score in self.cells(run)[1]]
        with self._writing() as db:
            db.execute(
                "UPDATE runs SET info = ?, rev = rev + 1, done = 0, eta = NULL, state = 'queued' "
                "WHERE id = ? AND state = 'running'",
                (json.dumps(info, default=float), run),
            )
            db.executemany(
                "UPDATE run_cells SET score = ?, rev = (SELECT rev FROM runs WHERE id = ?) WHERE run = ? AND place = ?",
                [(json.dumps(score.to_json()), run, run, place) for place, score in enumerate(scores)],
            )

    def interrupt_active(self, reason: str, states: Sequence[str] = GOING_STATES) -> int:
        """Mark runs without a worker as interrupted; returns how many."""
        marks = ", ".join("?" * len(states))
        with self._writing() as db:
            cursor = db.execute(
                f"UPDATE runs SET state = 'interrupted', error = ?, rev = rev + 1, eta = NULL WHERE state IN ({marks})",
                (reason, *states),
            )
            return cursor.rowcount

    # --- cells ---------------------------------------------------------------------------------------------------

    def cells(self, run: str, after_rev: int = 0) -> tuple[int, list[CellScore]]:
        """(rev, scores that changed after `after_rev`), base first, then ascending; read in one snapshot.

        Raises NotFound, and Failed for damaged scores.
        """
        _check_id(run)
        rows = self._all(
            "SELECT rev, NULL FROM runs WHERE id = ? UNION ALL "
            "SELECT * FROM (SELECT rev, score FROM run_cells WHERE run = ? AND rev > ? ORDER BY place)",
            (run, run, after_rev),
        )
        if not rows:
            raise _no_run()
        return int(rows[0][0]), [_score_of(row[1]) for row in rows[1:]]

    def commit(
        self,
        run: str,
        place: int,
        score: CellScore,
        *,
        fingerprint: str = "",
        new_results: Mapping[int, NDArray[Any]] | None = None,
        eta_seconds: float | None = None,
    ) -> None:
        """Keep new block results and the cell's score in one transaction: committed before anybody sees it."""
        blobs = [
            (fingerprint, cell_key(score.cell), block, _packed(result)) for block, result in (new_results or {}).items()
        ]
        with self._writing() as db:
            db.executemany("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?)", blobs)
            db.execute(
                "UPDATE run_cells SET score = ?, rev = (SELECT rev + 1 FROM runs WHERE id = ?) "
                "WHERE run = ? AND place = ?",
                (json.dumps(score.to_json()), run, run, place),
            )
            db.execute(
                "UPDATE runs SET rev = rev + 1, eta = ?, done = (SELECT COUNT(*) FROM run_cells WHERE run = ? "
                "AND place > 0 AND json_extract(score, '$.status') IN ('final', 'failed', 'skipped')) WHERE id = ?",
                (eta_seconds, run, run),
            )

    def keep_results(self, fingerprint: str, cell: Cell | None, results: Mapping[int, NDArray[Any]]) -> None:
        """Keep block results that no run asked for (yet)."""
        blobs = [(fingerprint, cell_key(cell), block, _packed(result)) for block, result in results.items()]
        with self._writing() as db:
            db.executemany("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?)", blobs)

    def results(self, fingerprint: str, cell: Cell | None) -> dict[int, NDArray[Any]]:
        """{block: raw result} of everything stored for these weights; a damaged block is left out, as never scored."""
        rows = self._all(
            "SELECT block, result FROM results WHERE fingerprint = ? AND cell = ?", (fingerprint, cell_key(cell))
        )
        found = {}
        for block, blob in rows:
            try:
                found[int(block)] = _unpacked(blob)
            except (ValueError, EOFError, OSError, TypeError):
                log.warning("block %s of cell %s is damaged: it will be scored again", block, cell_key(cell))
        return found

    def take_over_results(self, plan: Named) -> None:
        """Call what versions before this one kept of a plan by today's names, in the results and in their runs.

        A store that has runs of today alone is not looked through.
        """
        if not self._one(f"SELECT EXISTS(SELECT 1 FROM runs WHERE {_FORMER})", ())[0]:
            return
        for former, name in plan.former_names.items():
            own = (former, f"{former}0")  # with what a run of its own has: former/run, since "/" comes before "0"
            if not self._one(_IS_CALLED, (*own, former))[0]:
                continue
            with self._writing() as db:
                db.execute(_CALL_RESULTS, (name, len(former) + 1, *own))
                db.execute(f"DELETE FROM results WHERE {_CALLED}", own)
                db.execute("UPDATE runs SET info = replace(info, ?, ?) WHERE instr(info, ?)", (former, name, former))
                db.execute(
                    f"UPDATE runs SET info = ? || substr(info, 2) WHERE {_FORMER} AND instr(info, ?)", (_TODAY, name)
                )

    def block_counts(self, fingerprint: str) -> dict[str, int]:
        """{cell as `cell_key` spells it: how many of its blocks are stored}."""
        rows = self._all("SELECT cell, COUNT(*) FROM results WHERE fingerprint = ? GROUP BY cell", (fingerprint,))
        return {str(cell): int(count) for cell, count in rows}


def _run_of(row: Sequence[Any]) -> Run:
    """Raises Failed for a row that does not hold what was written."""
    try:
        return Run(row[0], row[1], _object(row[2]), _object(row[3]), *row[4:])
    except ValueError as error:
        raise Failed("The record of this sweep is damaged: start a new one.") from error


def _score_of(text: str) -> CellScore:
    """Raises Failed for a score that is not what was written."""
    try:
        return CellScore.from_json(_object(text))
    except (KeyError, TypeError, ValueError, AttributeError, GradiendUIError) as error:
        raise Failed("The numbers of this sweep are damaged: delete it and start a new one.") from error


def _object(text: str) -> dict[str, Any]:
    """The JSON object in the text. Raises ValueError for anything else."""
    try:
        found = json.loads(text)
    except (TypeError, RecursionError) as error:
        raise ValueError("no JSON") from error
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    return found


def _readable(rows: Sequence[Sequence[Any]]) -> Iterator[Run]:
    """The runs of all rows but damaged ones: one must not take the list with it."""
    for row in rows:
        try:
            yield _run_of(row)
        except Failed:
            log.warning("the record of run %s is damaged", row[0])


def _check_id(value: object) -> None:
    """Ids come from outside: anything but text is no id of ours."""
    if not isinstance(value, str) or not value.isascii():
        told = NotFound("There is no such run: its id is a short text of letters, digits, '-' and '_'.")
        raise told.known_as("runs.no_run")


def _no_run() -> NotFound:
    told = NotFound("There is no such run: it may have been deleted, or the link is incomplete.")
    return told.known_as("runs.no_run")


def _packed(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _unpacked(blob: bytes) -> NDArray[Any]:
    array: NDArray[Any] = np.load(io.BytesIO(blob), allow_pickle=False)
    return array
