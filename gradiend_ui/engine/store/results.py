"""Raw results of blocks: what a fixed block of rows or texts gave under one set of weights.

The unit is (fingerprint, cell, block). Equal requests share these numbers, whoever asked for them. Of runs it knows
only that they note the fingerprint of theirs.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gradiend_ui.engine.store.database import Database
from gradiend_ui.engine.values import Cell

log = logging.getLogger(__name__)
SPELLING = "spelling"
"""In what is noted of a run: how its fingerprint is spelled. Runs without it are of versions whose fingerprints covered
the place that the base model was loaded from."""
_TODAY = f'{{"{SPELLING}": 2, '
_FORMER = f"instr(info, '\"{SPELLING}\"') = 0 AND instr(info, '\"fingerprint\"')"
KEEP_RESULT = "INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?)"
_CALLED = "fingerprint >= ? AND fingerprint < ?"
_IS_CALLED = f"SELECT EXISTS(SELECT 1 FROM results WHERE {_CALLED}) OR EXISTS(SELECT 1 FROM runs WHERE instr(info, ?))"
_CALL_RESULTS = (
    "INSERT OR IGNORE INTO results SELECT ? || substr(fingerprint, ?), cell, block, result FROM results "
    f"WHERE {_CALLED}"
)


def cell_key(cell: Cell | None) -> str:
    """The spelling of a cell in the store: exact, and the same in every process."""
    return "base" if cell is None else f"{cell.feature_factor!r},{cell.learning_rate!r}"


class Named(Protocol):
    """What results are kept of. former_names: {as versions before this one called them: today's name}."""

    @property
    def former_names(self) -> Mapping[str, str]: ...


class Results(Database):
    """The table of block results."""

    def keep_results(self, fingerprint: str, cell: Cell | None, results: Mapping[int, NDArray[Any]]) -> None:
        """Keep block results that no run asked for (yet)."""
        with self._writing() as db:
            db.executemany(KEEP_RESULT, packed_results(fingerprint, cell, results))

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

    def block_counts(self, fingerprint: str) -> dict[str, int]:
        """{cell as `cell_key` spells it: how many of its blocks are stored}."""
        rows = self._all("SELECT cell, COUNT(*) FROM results WHERE fingerprint = ? GROUP BY cell", (fingerprint,))
        return {str(cell): int(count) for cell, count in rows}

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


def packed_results(
    fingerprint: str, cell: Cell | None, results: Mapping[int, NDArray[Any]]
) -> list[tuple[str, str, int, bytes]]:
    """What `KEEP_RESULT` takes, a tuple per block."""
    return [(fingerprint, cell_key(cell), block, _packed(result)) for block, result in results.items()]


def _packed(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _unpacked(blob: bytes) -> NDArray[Any]:
    array: NDArray[Any] = np.load(io.BytesIO(blob), allow_pickle=False)
    return array
