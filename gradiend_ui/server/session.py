"""The only door from the page and the API to the engine.

Plain JSON-like values in and out; every refusal is a `GradiendUIError`. Reads come from the store, work goes to the
worker process; torch is never imported here. Thread-safe.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from gradiend_ui.engine.base.demos import DEMOS
from gradiend_ui.engine.errors import BadData, BadGrid, Busy, Failed, GradiendUIError, NotAllowed
from gradiend_ui.engine.files.fence import fence_version
from gradiend_ui.engine.files.json_files import shown
from gradiend_ui.engine.selection.picture import Pictures
from gradiend_ui.engine.selection.policies import DEFAULT_POLICY, policy_named
from gradiend_ui.engine.selection.winner import Question, select
from gradiend_ui.engine.store.known_cells import known_cells
from gradiend_ui.engine.store.made import Made
from gradiend_ui.engine.store.opening import opened_store
from gradiend_ui.engine.store.store import Run
from gradiend_ui.engine.store.turns import check_turn, who_asks
from gradiend_ui.engine.uploads.trust import LOCAL, public_trust
from gradiend_ui.engine.values import (
    DEFAULT_PRECISION,
    DEFAULT_RATIO,
    GOING_STATES,
    QUESTION,
    STOPPABLE_STATES,
    WINNER_GOALS,
    CellScore,
    Grid,
    finite_or_none,
)
from gradiend_ui.engine.worker.client import WorkerClient
from gradiend_ui.server.checkpoints import OwnModel, Uploads, absolute, checked_location, was_uploaded
from gradiend_ui.server.data import DataDesk
from gradiend_ui.server.exports import ExportDesk
from gradiend_ui.server.home import STORE_FILE as STORE_FILE
from gradiend_ui.server.home import Home, check_lock, home_and_exports, mark
from gradiend_ui.server.housekeeping import Housekeeping
from gradiend_ui.server.leftovers import adopt
from gradiend_ui.server.parts import CompareDesk, Ground
from gradiend_ui.server.quotas import LOCAL as LOCAL_QUOTAS
from gradiend_ui.server.quotas import PUBLIC, Quotas, places_of
from gradiend_ui.server.roles import hashed, new_key
from gradiend_ui.server.runs import RunShelf
from gradiend_ui.server.visitors import THIS_MACHINE, Asker

log = logging.getLogger(__name__)
DEMO_FOLDER = Path(__file__).resolve().parents[2] / "assets" / "demo"
LOCK_FILE = "lock"
LOAD_KEYS = (
    "checkpoint", "name", "base_model", "objective", "classes", "encoding_direction", "strengthening_feature_factor",
    "source", "latent_dim", "mapped_weights", "base_weights", "correlation", "converged", "seeds", "memory", "rows",
    "rows_recovered", "neutral_sets", "finished_sweeps", "assumed", "missing", "warnings",
)  # fmt: skip
OLDER_CARD: dict[str, Any] = {
    "finished_sweeps": [], "seeds": [], "memory": {"needed": None, "free": None}, "assumed": [], "missing": [],
    "rows_recovered": None, "row_classes": [],
}  # fmt: skip
LOAD_OPTIONS = frozenset({"revision", "base_model", "encoding_direction", "chat_prompt", "seed"})
SELECT_OPTIONS = frozenset({"target_class", *QUESTION})
OPEN_OPTIONS = frozenset({"file"})
MOST_REV = 2**53
NO_FENCE = (
    "This system has no fence around processes (Landlock, Linux 5.13 or newer): what visitors upload is checked and "
    "rebuilt before it is read, but nothing stands behind these checks."
)
RESUMABLE = ("paused", "stopped", "interrupted", "failed")


class Session:
    """One server's engine: a data folder, its lock and its worker. Open it with `Session.open`.

    Sweeps and what is read of them are methods here; `data`, `shelf` and `uploads` are its parts for data before a
    sweep, earlier runs and uploaded checkpoints.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        public: bool,
        default_source: str,
        demo_folder: Path = DEMO_FOLDER,
        export_dir: Path | None = None,
        home: Home | None = None,
    ) -> None:
        """data_dir: the app's own folder. home: what is known of it, None for nothing."""
        self._data_dir = data_dir
        self._public = public
        self._own = OwnModel(default_source, public)
        self._lock = locked(data_dir)
        try:
            self._store, notice = opened_store(data_dir / STORE_FILE)
            number = self._store.begin_server()
            self._store.interrupt_active("The server was stopped while this run was going: resume it to go on.")
            if home is not None and home.older:
                adopt(self._store, Made(self._store, data_dir))
                mark(data_dir)
        except GradiendUIError:
            self._lock.release()
            raise
        self._notices = [told for told in (home.notice if home else None, notice) if told]
        if public and not fence_version():
            self._notices.append(NO_FENCE)
        self._turns = threading.Lock()
        self._housekeeping = Housekeeping(self._store, data_dir, public)
        self._housekeeping.start()
        self._pictures = Pictures(self._store)
        trust = public_trust(*self._own.folders) if public else LOCAL
        self._worker = WorkerClient(
            data_dir / STORE_FILE,
            data_dir,
            demo_folder,
            self._on_worker_death,
            trust,
            number,
            places_of(PUBLIC if public else LOCAL_QUOTAS),
        )
        self._ground = ground = Ground(self._store, self._worker, data_dir, public, export_dir)
        self.data = DataDesk(ground)
        self.compared = CompareDesk(ground)
        self.shelf = RunShelf(ground, self.select)
        self.exports = ExportDesk(ground, self.select)
        self.uploads = Uploads(ground)

    @classmethod
    def open(
        cls,
        data_dir: str | Path | None = None,
        public: bool = False,
        default_source: str = "demo",
        start_worker: bool = True,
        export_dir: str | Path | None = None,
        **options: Any,
    ) -> Session:
        """Open the data folder (default: the user's data directory) and start the worker in the background.

        data_dir: where a folder that somebody else uses is named, a folder of our own in it (see `server.home`).
        start_worker: False leaves that to `start_worker`, or to the first request that needs it.
        Raises Busy when another server holds the folder, BadName and Failed for one that cannot be used.
        """
        home, kept = home_and_exports(default_data_dir() if data_dir is None else data_dir, export_dir)
        session = cls(home.folder, public=public, default_source=default_source, export_dir=kept, home=home, **options)
        try:
            _ = session.downloads_dir  # made now: what is in its way is said at the start
        except GradiendUIError:
            session.close()
            raise
        if start_worker:
            session.start_worker()
        return session

    def start_worker(self) -> None:
        """Start the worker unless it runs; returns at once, it loads its libraries by itself."""
        self._worker.start()

    def close(self) -> None:
        """End the worker, mark what was running as interrupted, give the folder free: whatever the disk says to it."""
        try:
            self._housekeeping.close()
            self._worker.close()
            self._interrupt("The server was stopped while this run was going: resume it to go on.")
        finally:
            self._store.close()
            self._lock.release()

    def _interrupt(self, why: str, states: Sequence[str] = GOING_STATES) -> None:
        """Mark runs as interrupted; where the store cannot be written any more, the next start does it."""
        try:
            self._store.interrupt_active(why, states)
        except GradiendUIError as error:
            log.warning("sweeps that were going could not be marked as interrupted: %s", error)

    def about(self) -> dict[str, Any]:
        return {
            "public": self._public,
            "allows_paths": not self._public,
            "default_source": self._own.name,
            "data_dir": "" if self._public else str(self._data_dir),
            "notices": () if self._public else tuple(self._notices),
        }

    @property
    def notices(self) -> tuple[str, ...]:
        """What the server's owner should know of its start, a sentence each; pages tell of the store only."""
        problem = self._own.problem()
        return (*self._notices, *([problem] if problem else []))

    @property
    def quotas(self) -> Quotas:
        """What this server takes, of one visitor and of all."""
        return self._ground.quotas

    @property
    def downloads_dir(self) -> Path:
        """Where files for and from the browser pass through: a folder of this server in `downloads`. Raises Failed."""
        return self._housekeeping.cache

    # --- load ----------------------------------------------------------------------------------------------------

    def load(self, source: str, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The API's /load. Raises BadCheckpoint, BadBase, NotAllowed."""
        chosen = _options(options, LOAD_OPTIONS, "load")
        source = checked_location(source, f"source must be {' or '.join(map(repr, DEMOS))}, or a folder")
        if source not in DEMOS and not self._own.is_meant(source):
            if self._public:
                told = NotAllowed("This server opens its own demos only: paths on the server are not read.")
                raise told.known_as("load.no_paths")
            source = absolute(source)
        if "base_model" in chosen:
            checked_location(chosen["base_model"], "base_model must be a folder or the id of a model, as text")
        if self._public and chosen.get("base_model"):
            raise NotAllowed("This server does not open other base models.").known_as("load.no_other_base")
        if chosen.pop("revision", None) is not None:
            raise BadGrid("revision applies to Hub ids only; a folder has none.")
        if chosen:
            self._ground.loads.count(who_asks())
        kept = self.quotas.kept_loads
        if self._own.is_meant(source):
            with self._own.kept_from_visitors():
                card = self._worker.ask("load", source=self._own.source, options=chosen, kept=kept)
        else:
            card = self._worker.ask("load", source=source, options=chosen, kept=kept)
        return {key: card[key] for key in LOAD_KEYS}

    def card(self, checkpoint: str) -> dict[str, Any]:
        """The /load answer plus what the page's form needs; an older card tells no finished sweeps. Raises NotFound."""
        card = self._store.checkpoint(checkpoint)[2]
        return {**OLDER_CARD, "notes": card["warnings"], **card, "base_parameters": card["base_weights"]}

    # --- sweep ---------------------------------------------------------------------------------------------------

    def start_sweep(self, checkpoint: str, spec: Mapping[str, Any] | None = None, visitor: str = "") -> dict[str, Any]:
        """The API's /start_sweep: with the run's key, which is told here and never again.

        Raises BadGrid, BadData, NotFound, NotAllowed, Busy, TooLarge.
        """
        self._store.checkpoint(checkpoint)
        if spec is not None and not isinstance(spec, Mapping):
            raise BadGrid(f"spec must be an object of options, not {shown(spec)}.")
        request = dict(spec or {})
        for key in ("rows", "neutral"):
            if self._public:
                request[key] = self._given_by_a_stranger(key, request.get(key), visitor)
        key, most = new_key(), {**self.quotas.sweep_size, **self._turn_limits}
        answer: dict[str, Any] = self._worker.ask(
            "start", checkpoint=checkpoint, spec=request, visitor=visitor, most=most, key_hash=hashed(key)
        )
        return {**answer, "key": key}

    def _given_by_a_stranger(self, key: str, table: Any, visitor: str) -> Any:
        """Rows or texts as data or as an upload's id; a file in the download cache is taken in like one of the page's.

        Raises NotAllowed for any other path, and as `DataDesk.keep_table` does.
        """
        if not isinstance(table, Mapping):
            if isinstance(table, (str, os.PathLike)):
                raise NotAllowed(f"This server reads no paths: send {key} as records or texts.")
            return table
        kept = {"upload", "run"} & set(table)
        if kept and "path" not in table:
            return table
        if kept or not was_uploaded(table.get("path")):
            raise NotAllowed(f"This server reads no paths: send {key} as records or texts.")
        keep = self.data.keep_table if key == "rows" else self.data.keep_texts
        return {"upload": keep(table["path"], visitor)["upload"]}

    def known_cells(self, checkpoint: str, spec: Mapping[str, Any]) -> int:
        """How many cells that a spec asks for are scored already (see `engine.store.known_cells`)."""
        return known_cells(self._store, checkpoint, spec)

    def open_finished(self, checkpoint: str, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The API's /open_finished. Raises BadGrid, NotFound."""
        self._store.checkpoint(checkpoint)
        chosen = _options(options, OPEN_OPTIONS, "open_finished")
        answer: dict[str, Any] = self._worker.ask("open_finished", checkpoint=checkpoint, options=chosen)
        return answer

    def run_info(self, run: str) -> dict[str, Any]:
        """What does not change in a run. Raises NotFound."""
        record = self._store.run(run)
        info = dict(record.info)
        return {
            "run": record.id,
            "checkpoint": record.checkpoint,
            "card": self.card(record.checkpoint),
            "spec": {
                **info["spec"],
                "feature_factors": info["feature_factors"],
                "learning_rates": info["learning_rates"],
                "neutral_set": info["neutral_set"],
            },
            "data": self.data.of_run(record),
            "warnings": info["warnings"],
            "classes": info["classes"],
            "imported": _imported(record),
            "neutral_tokens": info["neutral_tokens"],
            "created": record.created,
            "made_by": info.get("made_by"),
        }

    def revision(self, run: str) -> tuple[int, str, int]:
        """(rev, state, position in the queue): cheap enough to poll many times a second."""
        rev, state = self._store.revision(run)
        return rev, state, self._store.position(run) if state == "queued" else 0

    def cells(self, run: str, rev: int = 0) -> dict[str, Any]:
        """The API's /cells: state and progress, the base, and the cells that changed after `rev`."""
        if isinstance(rev, bool) or not isinstance(rev, int) or abs(rev) > MOST_REV:
            raise BadGrid(f"rev must be a whole number, as an earlier answer gave it, not {shown(rev)}.")
        newest, changed = self._store.cells(run, rev)
        record = self._store.run(run)
        classes = record.info["classes"]
        base = changed[0] if changed and changed[0].cell is None else self._store.cells(run)[1][0]
        return {
            "state": record.state,
            "rev": newest,
            "done": record.done,
            "total": record.total,
            "eta_seconds": _seconds(record),
            "base": cell_json(base, classes),
            "cells": [cell_json(score, classes) for score in changed if score.cell is not None and _touched(score)],
            "error": record.error,
        }

    def role(self, run: str, asker: Asker) -> str:
        """What the asker is to the run (see `server.roles`). Raises NotFound, NotAllowed."""
        return self._ground.keys.role(run, asker)

    def check_control(self, run: str, asker: Asker) -> None:
        """Raises NotFound, and NotAllowed where the asker may only watch the run."""
        self._ground.keys.check(run, asker)

    def pause(self, run: str, asker: Asker = THIS_MACHINE) -> dict[str, Any]:
        """The API's /pause. Raises NotFound, NotAllowed."""
        self.check_control(run, asker)
        return {"state": self._store.set_state(run, "paused", only_from=GOING_STATES)}

    def resume(self, run: str, asker: Asker = THIS_MACHINE) -> dict[str, Any]:
        """Queue the run again where it is not going on. Raises NotFound, NotAllowed, Busy."""
        self.check_control(run, asker)
        with self._turns:
            self._check_turn(run, RESUMABLE)
            state = self._store.set_state(run, "queued", only_from=RESUMABLE)
        self._worker.ask("wake")
        return {"state": self._store.revision(run)[1] if state == "queued" else state}

    def finish_cell(self, run: str, cell: Mapping[str, Any], asker: Asker = THIS_MACHINE) -> dict[str, Any]:
        """The API's /finish_cell: score a cell that a search for the winner skipped.

        Raises NotFound, NotAllowed, BadGrid, Busy.
        """
        self.check_control(run, asker)
        with self._turns:
            self._check_turn(run, ("finished",))
            answer: dict[str, Any] = self._worker.ask("finish_cell", run=run, cell=dict(cell))
        return answer

    def _check_turn(self, run: str, states: Sequence[str]) -> None:
        """Whether the run, if it is in one of `states`, may be queued again. Raises NotFound, Busy."""
        if self._store.revision(run)[1] in states:
            own = self._store.active_runs(self._store.visitor(run))
            check_turn(own, self._store.active_runs(), self._turn_limits)

    @property
    def _turn_limits(self) -> dict[str, int]:
        return {"runs": self.quotas.runs, "runs_each": self.quotas.runs_each}

    def stop(self, run: str, asker: Asker = THIS_MACHINE) -> dict[str, Any]:
        """The API's /stop. Raises NotFound, NotAllowed."""
        self.check_control(run, asker)
        return {"state": self._store.set_state(run, "stopped", only_from=STOPPABLE_STATES)}

    # --- reading a run -------------------------------------------------------------------------------------------

    def select(self, run: str, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The API's /select. Raises NotFound while nothing can be selected yet."""
        record = self._store.run(run)
        _, scores = self._store.cells(run)
        return select(_question(record, options), scores[0], scores[1:]).to_json()

    def picture(self, run: str, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Everything a page draws of the run, with the selection for `options` (see `engine.selection.picture`)."""
        record = self._store.run(run)
        grid = Grid(tuple(record.info["feature_factors"]), tuple(record.info["learning_rates"]))
        rev, picture = self._pictures.of(run, grid, _question(record, options))
        return {
            "rev": rev,
            "state": record.state,
            "done": record.done,
            "total": record.total,
            "eta_seconds": _seconds(record),
            "position": self._store.position(run),
            "error": record.error,
            "imported": _imported(record),
            "neutral_set": record.info["neutral_set"],
            "precision": record.info["spec"].get("precision", DEFAULT_PRECISION),
            "search": _search(record),
            **picture,
        }

    def compare(
        self,
        run: str,
        cells: Sequence[Mapping[str, float]],
        texts: Sequence[str],
        options: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The API's /compare. Raises BadData, BadGrid, TooLarge, NotFound."""
        self._store.revision(run)
        if isinstance(texts, str) or not isinstance(texts, Sequence) or not isinstance(cells, Sequence):
            raise BadData("cells and texts must be lists.")
        chosen = {} if options is None else options
        if not isinstance(chosen, Mapping):
            raise BadGrid(f"The options of compare must be an object, not {shown(chosen)}.")
        if self._public:
            self.compared.ahead(run, cells, texts, chosen)
        answer: dict[str, Any] = self._worker.ask(
            "compare", run=run, cells=list(cells), texts=list(texts), options=dict(chosen)
        )
        return answer

    def export(self, run: str, options: Mapping[str, Any], visitor: str = "") -> str:
        """The API's /export: path of a zip, kept for an hour. Raises BadGrid, BadName, NotFound, Busy, Failed."""
        return self.exports.zip_of(run, options, visitor)

    def _on_worker_death(self, why: str) -> None:
        self._interrupt(why, ("running",))


def locked(data_dir: Path) -> FileLock:
    """The data folder's lock, held; the system frees it when the process ends, however it ends. Raises Busy, Failed."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        check_lock(data_dir / LOCK_FILE)
        lock = FileLock(data_dir / LOCK_FILE)
        lock.acquire(timeout=0)
    except Timeout:
        raise Busy(
            f"Another server already uses the data folder {str(data_dir)!r}: stop it, or choose another --data-dir."
        ) from None
    except OSError as error:
        raise Failed(
            f"The data folder {str(data_dir)!r} cannot be used ({error.strerror or error}): choose another --data-dir."
        ) from error
    return lock


def default_data_dir() -> Path:
    """The user's data folder of this program, as the platform has it (XDG, Library, AppData)."""
    if sys.platform == "win32":
        home = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        home = Path.home() / "Library" / "Application Support"
    else:
        home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return home / "gradiend_ui"


def _options(given: object, known: frozenset[str], what: str) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise BadGrid(f"The options of {what} must be an object, not {shown(given)}.")
    unknown = sorted(str(key) for key in set(given) - known)
    if unknown:
        raise BadGrid(f"Unknown option {shown(unknown[0])}; {what} knows {', '.join(sorted(known))}.")
    return {key: value for key, value in given.items() if value is not None}


def _question(record: Run, options: Mapping[str, Any] | None) -> Question:
    chosen = _options(options, SELECT_OPTIONS, "select")
    any_factor = chosen.get("any_feature_factor", False)
    if not isinstance(any_factor, bool):
        raise BadGrid(f"any_feature_factor must be true or false, not {shown(any_factor)}.")
    return Question(
        target_class=chosen.get("target_class", record.info["spec"]["target_classes"][0]),
        classes=tuple(record.info["classes"]),
        strengthening=record.info["strengthening"],
        goal=chosen.get("goal", "weaken" if record.info["spec"]["goal"] == "weaken" else "strengthen"),
        policy=policy_named(chosen.get("policy", DEFAULT_POLICY), chosen.get("ratio", DEFAULT_RATIO)),
        any_feature_factor=any_factor,
    )


def _imported(record: Run) -> dict[str, Any] | None:
    """{file, check, note} of a run whose numbers come from a file; None for one that was swept here."""
    imported = record.info.get("imported")
    return None if imported is None else {key: imported[key] for key in ("file", "check", "note")}


def _search(record: Run) -> dict[str, Any] | None:
    """{ratio, goals, target_classes} whose winners a run looks for; None for one that scores every cell."""
    spec = record.info["spec"]
    if not spec.get("winner_only"):
        return None
    goals = list(WINNER_GOALS) if spec["goal"] == "both" else [spec["goal"]]
    return {"ratio": spec["winner_ratio"], "goals": goals, "target_classes": spec["target_classes"]}


def _touched(score: CellScore) -> bool:
    return score.status != "pending"


def _seconds(record: Run) -> float | None:
    return record.eta_seconds if record.state == "running" else None


def cell_json(score: CellScore, classes: Sequence[str]) -> dict[str, Any]:
    """A cell as the API sends it; probs and probs_factual in the reference's sense."""
    data = score.to_json()
    return {
        "feature_factor": data["feature_factor"],
        "learning_rate": data["learning_rate"],
        "status": data["status"],
        "probs": _known({name: score.strengthen_metric(name, classes) for name in classes}),
        "probs_factual": _known({name: score.own_probability(name) for name in classes}),
        "probs_by_dataset": data["probs_by_dataset"],
        "lms": data["lms"],
        "rows_done": data["rows_done"],
        "reason": data["reason"],
        "errors": data.get("errors", {}),
        "precision": score.precision,
    }


def _known(values: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: finite_or_none(value) for name, value in values.items() if value is not None}
