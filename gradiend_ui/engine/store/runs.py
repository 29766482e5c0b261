"""Runs: what was asked, how far it is, the scores of its cells, and what people noted.

A run belongs to whoever has its id. Its `state` is its only control: the worker goes on while it reads "running".
Results that several runs share go with the last of them. Knows no order in which runs wait.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from numpy.typing import NDArray

from gradiend_ui.engine.errors import Busy, Failed, GradiendUIError, NotFound
from gradiend_ui.engine.store.results import KEEP_RESULT, SPELLING, Results, cell_key, packed_results
from gradiend_ui.engine.store.run_info import KeptInfo
from gradiend_ui.engine.values import GOING_STATES, Cell, CellScore

log = logging.getLogger(__name__)
_RUN = (
    "SELECT id, checkpoint, request, info, state, rev, done, total, eta, error, created, "
    "COALESCE(name, ''), COALESCE(note, '') FROM runs LEFT JOIN run_labels ON run_labels.run = runs.id"
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
    info: KeptInfo
    state: str
    rev: int
    done: int
    total: int
    eta_seconds: float | None
    error: str | None
    created: float
    name: str = ""
    note: str = ""


def fingerprints_of(run: Run) -> tuple[str, ...]:
    """Under which names the block results of a run are stored: the shared ones (of its precision, and of others that it
    looks into) and those of a run scored again."""
    shared = run.info.get("fingerprint")
    names = [str(shared), *run.info.get("other_fingerprints", ())] if shared else []
    return tuple(name for shared_name in names for name in (shared_name, f"{shared_name}/{run.id}"))


class Runs(Results):
    """The tables of runs, of their cells, and of what people noted."""

    def create_run(
        self,
        checkpoint: str,
        request: Mapping[str, Any],
        info: KeptInfo,
        cells: Sequence[Cell],
        visitor: str = "",
        key_hash: str = "",
    ) -> str:
        """Queue a run over `cells` (ascending) and the base, in the visitor's turn; returns its unguessable id.

        key_hash: of the key that controls it (`server.door.roles.hashed`), "" for none.
        """
        scores = [CellScore(None), *(CellScore(cell) for cell in cells)]
        return self._insert(checkpoint, request, info, scores, "queued", visitor, key_hash)

    def create_finished_run(
        self, checkpoint: str, request: Mapping[str, Any], info: KeptInfo, scores: Sequence[CellScore]
    ) -> str:
        """Keep a run that was scored elsewhere: the base first, then its cells ascending; returns its id."""
        return self._insert(checkpoint, request, info, scores, "finished")

    def _insert(
        self,
        checkpoint: str,
        request: Mapping[str, Any],
        info: KeptInfo,
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
        check_id(run)
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

    def revision(self, run: str) -> tuple[int, str]:
        """(rev, state), cheap enough to poll. Raises NotFound."""
        check_id(run)
        row = self._one("SELECT rev, state FROM runs WHERE id = ?", (run,))
        if row is None:
            raise _no_run()
        return int(row[0]), str(row[1])

    def visitor(self, run: str) -> str:
        """Whose run it is; "" where nobody was noted."""
        check_id(run)
        row = self._one("SELECT visitor FROM run_visitors WHERE run = ?", (run,))
        return "" if row is None else str(row[0])

    def key_hashes(self, runs: Sequence[str]) -> dict[str, str]:
        """{run: hash of its key} of those runs that are there and have one."""
        marks = ", ".join("?" * len(runs))
        query = f"SELECT run, hash FROM run_keys JOIN runs ON runs.id = run_keys.run WHERE run IN ({marks})"
        return {str(run): str(digest) for run, digest in self._all(query, tuple(runs))}

    def label_run(self, run: str, name: str, note: str) -> None:
        """Keep a person's name and note for the run. Raises NotFound."""
        self.revision(run)
        with self._writing() as db:
            db.execute("INSERT OR REPLACE INTO run_labels VALUES (?, ?, ?)", (run, name, note))

    # --- deleting ------------------------------------------------------------------------------------------------

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

    # --- states --------------------------------------------------------------------------------------------------

    def set_info(self, run: str, info: KeptInfo) -> None:
        """Replace what is noted about the run."""
        check_id(run)
        with self._writing() as db:
            db.execute("UPDATE runs SET info = ? WHERE id = ?", (json.dumps(info, default=float), run))

    def set_state(self, run: str, state: str, *, only_from: Sequence[str], error: str | None = None) -> str:
        """Move the run to `state` when it is in one of `only_from`; returns the state it is in then."""
        check_id(run)
        marks = ", ".join("?" * len(only_from))
        with self._writing() as db:
            db.execute(
                f"UPDATE runs SET state = ?, error = ?, rev = rev + 1, eta = NULL, queued = ? "
                f"WHERE id = ? AND state IN ({marks})",
                (state, error, time.time(), run, *only_from),
            )
        return self.revision(run)[1]

    def plan_again(self, run: str, info: KeptInfo) -> None:
        """Begin the run anew under another plan: nothing of it is scored yet, and it waits for its turn."""
        check_id(run)
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
        check_id(run)
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
        kept = packed_results(fingerprint, score.cell, new_results or {})
        with self._writing() as db:
            db.executemany(KEEP_RESULT, kept)
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


def _run_of(row: Sequence[Any]) -> Run:
    """Raises Failed for a row that does not hold what was written."""
    try:
        return Run(row[0], row[1], json_object(row[2]), cast(KeptInfo, json_object(row[3])), *row[4:])
    except ValueError as error:
        raise Failed("The record of this sweep is damaged: start a new one.") from error


def _score_of(text: str) -> CellScore:
    """Raises Failed for a score that is not what was written."""
    try:
        return CellScore.from_json(json_object(text))
    except (KeyError, TypeError, ValueError, AttributeError, GradiendUIError) as error:
        raise Failed("The numbers of this sweep are damaged: delete it and start a new one.") from error


def json_object(text: str) -> dict[str, Any]:
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


def check_id(value: object) -> None:
    """Ids come from outside: anything but text is no id of ours."""
    if not isinstance(value, str) or not value.isascii():
        told = NotFound("There is no such run: its id is a short text of letters, digits, '-' and '_'.")
        raise told.known_as("runs.no_run")


def _no_run() -> NotFound:
    told = NotFound("There is no such run: it may have been deleted, or the link is incomplete.")
    return told.known_as("runs.no_run")
