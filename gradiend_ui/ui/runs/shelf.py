"""The session's part for earlier runs: list, name, note, delete.

Plain JSON-like values in and out; every refusal is a `GradiendUIError`. On a public server a run belongs to whoever
has its link: nothing is listed, named or deleted there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from gradiend_ui.engine.errors import Failed, NotAllowed, NotFound, TooLarge
from gradiend_ui.engine.store import Run
from gradiend_ui.ui.ground import Ground

log = logging.getLogger(__name__)
LONGEST_NAME, LONGEST_NOTE = 80, 500
Select = Callable[[str, Mapping[str, Any]], dict[str, Any]]


class RunShelf:
    """`select` answers which cell wins (as the API's /select)."""

    def __init__(self, ground: Ground, select: Select) -> None:
        self._ground = ground
        self._select = select

    def runs(self, most: int = 20) -> dict[str, Any]:
        """{"runs": the `most` newest, newest first, see `entry`; "count": of all there are}. Raises NotAllowed."""
        self._check_allowed()
        return {
            "runs": [entry for record in self._ground.store.runs(most) if (entry := self._entry_or_none(record))],
            "count": self._ground.store.count_runs(),
        }

    def entry(self, run: str) -> dict[str, Any]:
        """What the list tells of one run: how it was swept and by how far, its winner, its size in bytes."""
        self._check_allowed()
        return self._entry(self._ground.store.run(run))

    def label(self, run: str, name: str, note: str) -> None:
        """Keep a name and a note for the run; "" takes them away. Raises NotAllowed, NotFound, TooLarge."""
        self._check_allowed()
        name, note = " ".join(_printable(name).split()), _printable(note).strip()
        for what, text, longest in (("name", name, LONGEST_NAME), ("note", note, LONGEST_NOTE)):
            if len(text) > longest:
                raise TooLarge(f"The {what} has {len(text)} characters; at most {longest} are kept.")
        self._ground.store.label_run(run, name, note)

    def delete(self, run: str) -> None:
        """Stop the run where it is going on, and remove it with the numbers that no other run needs.

        Exports stay. Raises NotAllowed, NotFound, Failed.
        """
        self._check_allowed()
        self._ground.store.revision(run)
        self._ground.worker.ask("delete_run", run=run)

    def _entry_or_none(self, record: Run) -> dict[str, Any] | None:
        """None for a run with a damaged record: it must not take the list with it."""
        try:
            return self._entry(record)
        except (KeyError, TypeError, Failed, NotFound) as error:
            log.warning("run %s cannot be listed: %s", record.id, error)
            return None

    def _check_allowed(self) -> None:
        if self._ground.public:
            raise NotAllowed("On a public server a sweep is reached by its link only: keep the page's address.")

    def _entry(self, record: Run) -> dict[str, Any]:
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
            "checkpoint": self._ground.store.checkpoint(record.checkpoint)[2]["name"],
            "classes": list(spec["target_classes"]),
            "all_classes": list(info["classes"]),
            "winner": self._winner(record),
            "bytes": self._ground.store.size_of(record),
            "made_by": info.get("made_by"),
            "settings": {
                "checkpoint": self._ground.store.checkpoint(record.checkpoint)[2]["name"],
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

    def _winner(self, record: Run) -> dict[str, Any] | None:
        """The cell that the run's first class and goal choose at the default threshold; None before there is one."""
        try:
            chosen = self._select(record.id, {})
        except NotFound:
            return None
        keys = ("feature_factor", "learning_rate", "probability", "base_probability", "lms", "base_lms", "fallback")
        return {"target_class": record.info["spec"]["target_classes"][0], **{key: chosen[key] for key in keys}}


def _printable(text: object) -> str:
    """Text without control characters; a line break stays one."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in str(text or ""))
