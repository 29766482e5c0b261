"""The session's part for earlier runs: list, name, note, delete.

Plain JSON-like values in and out; every refusal is a `GradiendUIError`. The owner of a local server sees all runs;
anybody else those whose keys they show, so that nobody lists, names or deletes what somebody else started.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from gradiend_ui.engine.answers.run import RunEntry, RunLabel, RunList, RunWinner, SelectionAnswer
from gradiend_ui.engine.errors import BadName, Failed, NotFound, TooLarge, shown
from gradiend_ui.engine.store.runs import Run
from gradiend_ui.engine.worker.requests import DeleteRun
from gradiend_ui.server.answers import of_earlier_scorer
from gradiend_ui.server.door.visitors import THIS_MACHINE, Asker
from gradiend_ui.server.shared import Shared

log = logging.getLogger(__name__)
LONGEST_NAME, LONGEST_NOTE = 80, 500
Select = Callable[[str, Mapping[str, object]], SelectionAnswer]


class Runs:
    """`select` answers which cell wins (as the API's /select)."""

    def __init__(self, shared: Shared, select: Select) -> None:
        self._shared = shared
        self._select = select

    def newest(self, most: int = 20, asker: Asker = THIS_MACHINE) -> RunList:
        """{"runs": the `most` newest of those that the asker may control, newest first, see `entry`; "count": of all
        of these}."""
        records, count = self._records(most, asker)
        return {"runs": [entry for record in records if (entry := self._entry_or_none(record))], "count": count}

    def _records(self, most: int, asker: Asker) -> tuple[list[Run], int]:
        store = self._shared.store
        if asker.owner and not self._shared.public:
            return store.runs(most), store.count_runs()
        held = self._shared.keys.held(asker.ring)
        records = [record for run in held if (record := self._record_or_none(run))]
        return sorted(records, key=lambda record: record.created, reverse=True)[:most], len(records)

    def entry(self, run: str, asker: Asker = THIS_MACHINE) -> RunEntry:
        """What the list tells of one run: how it was swept and by how far, its winner, its size in bytes.

        Raises NotAllowed, NotFound.
        """
        self._shared.keys.check(run, asker)
        return self._entry(self._shared.store.run(run))

    def label(self, run: str, name: str, note: str, asker: Asker = THIS_MACHINE) -> RunLabel:
        """Keep a name and a note for the run, "" takes them away; gives both as they are kept.

        Raises NotAllowed, NotFound, BadName, TooLarge.
        """
        self._shared.keys.check(run, asker)
        for what, text, longest in (("name", name, LONGEST_NAME), ("note", note, LONGEST_NOTE)):
            if not isinstance(text, str | None):
                raise BadName(f"The {what} is text of at most {longest} characters, not {shown(text)}.")
        name, note = " ".join(_printable(name).split()), _printable(note).strip()
        for what, text, longest in (("name", name, LONGEST_NAME), ("note", note, LONGEST_NOTE)):
            if len(text) > longest:
                told = TooLarge(f"The {what} has {len(text):,} characters; at most {longest} are kept.")
                raise told.known_as(f"runs.long_{what}", count=len(text), most=longest)
        self._shared.store.label_run(run, name, note)
        return {"name": name, "note": note}

    def delete(self, run: str, asker: Asker = THIS_MACHINE) -> None:
        """Stop the run where it is going on, and remove it with the numbers that no other run needs.

        Exports stay. Raises NotAllowed, NotFound, Failed.
        """
        self._shared.keys.check(run, asker)
        self._shared.worker.ask(DeleteRun(run))

    def _record_or_none(self, run: str) -> Run | None:
        """None for a damaged run, and one that was deleted just now: it must not take the list with it."""
        try:
            return self._shared.store.run(run)
        except (Failed, NotFound) as error:
            log.warning("run %s cannot be listed: %s", run, error)
            return None

    def _entry_or_none(self, record: Run) -> RunEntry | None:
        """None for a run with a damaged record: it must not take the list with it."""
        try:
            return self._entry(record)
        except (KeyError, TypeError, Failed, NotFound) as error:
            log.warning("run %s cannot be listed: %s", record.id, error)
            return None

    def _entry(self, record: Run) -> RunEntry:
        info, spec = record.info, record.info["spec"]
        imported = info.get("imported")
        return {
            "run": record.id,
            "name": record.name,
            "note": record.note,
            "state": record.state,
            "done": record.done,
            "total": record.total,
            "created": record.created,
            "checkpoint": self._shared.store.checkpoint(record.checkpoint)[2]["name"],
            "classes": list(spec["target_classes"]),
            "all_classes": list(info["classes"]),
            "winner": self._winner(record),
            "bytes": self._shared.store.size_of(record),
            "made_by": info.get("made_by"),
            "earlier_scorer": of_earlier_scorer(record),
            "settings": {
                "checkpoint": self._shared.store.checkpoint(record.checkpoint)[2]["name"],
                "classes": ", ".join(map(str, spec["target_classes"])),
                "goal": spec["goal"],
                "part": spec["part"],
                "token_boundary": spec["token_boundary"],
                "split": spec["split"],
                "rows": info.get("rows") or None,
                "neutral_set": info.get("neutral_set"),
                "neutral_tokens": info.get("neutral_tokens"),
                "feature_factors": len(info["feature_factors"]),
                "learning_rates": len(info["learning_rates"]),
                "file": None if imported is None else imported["file"],
                "weights_and_data": str(info.get("fingerprint") or "")[:10] or None,
            },
        }

    def _winner(self, record: Run) -> RunWinner | None:
        """The cell that the run's first class and goal choose at the default threshold; None before there is one."""
        try:
            chosen = self._select(record.id, {})
        except NotFound:
            return None
        return {
            "target_class": record.info["spec"]["target_classes"][0],
            "feature_factor": chosen["feature_factor"],
            "learning_rate": chosen["learning_rate"],
            "probability": chosen["probability"],
            "base_probability": chosen["base_probability"],
            "lms": chosen["lms"],
            "base_lms": chosen["base_lms"],
            "fallback": chosen["fallback"],
        }


def _printable(text: object) -> str:
    """Text without control characters; a line break stays one."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in str(text or ""))
