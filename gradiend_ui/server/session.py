"""The only door from the page and the API to the engine.

Plain JSON-like values in and out; every refusal is a `GradiendUIError`. Reads come from the store, work goes to the
worker process; torch is never imported here. Thread-safe.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from gradiend_ui.engine.answers.checkpoint import About, Card, LoadAnswer
from gradiend_ui.engine.answers.model import CompareAnswer
from gradiend_ui.engine.answers.run import (
    CellsAnswer,
    OpenedSweep,
    Picture,
    RunInfo,
    RunSpec,
    SelectionAnswer,
    StartedRun,
    StateAnswer,
)
from gradiend_ui.engine.checkpoint.demos import DEMOS
from gradiend_ui.engine.errors import BadGrid, GradiendUIError, NotAllowed, shown
from gradiend_ui.engine.files.fence import fence_version
from gradiend_ui.engine.selection.picture import Pictures
from gradiend_ui.engine.selection.winner import select
from gradiend_ui.engine.store.inventory import Inventory
from gradiend_ui.engine.store.opening import opened_store
from gradiend_ui.engine.sweep.known_cells import known_cells
from gradiend_ui.engine.sweep.spec import AskedSweep
from gradiend_ui.engine.uploads.trust import LOCAL, public_trust
from gradiend_ui.engine.values import (
    DEFAULT_PRECISION,
    GOING_STATES,
    STOPPABLE_STATES,
    Cell,
    Grid,
)
from gradiend_ui.engine.worker.client import WorkerClient
from gradiend_ui.engine.worker.requests import Compare, Load, OpenFinished, StartSweep
from gradiend_ui.engine.worker.turns import who_asks
from gradiend_ui.server import answers
from gradiend_ui.server.checkpoints import OwnModel, Uploads, absolute, checked_location
from gradiend_ui.server.comparing import Comparisons, check_compared
from gradiend_ui.server.data import Data
from gradiend_ui.server.door.quotas import LOCAL as LOCAL_QUOTAS
from gradiend_ui.server.door.quotas import PUBLIC, Quotas, places_of
from gradiend_ui.server.door.roles import hashed, new_key
from gradiend_ui.server.door.visitors import THIS_MACHINE, Asker
from gradiend_ui.server.exports import Exports
from gradiend_ui.server.home import STORE_FILE, Home, default_data_dir, home_and_exports, locked, mark
from gradiend_ui.server.housekeeping import Housekeeping
from gradiend_ui.server.leftovers import adopt
from gradiend_ui.server.resuming import SERVER_STOPPED, Resuming, interrupt
from gradiend_ui.server.runs import Runs
from gradiend_ui.server.shared import Shared

log = logging.getLogger(__name__)
DEMO_FOLDER = Path(__file__).resolve().parents[2] / "assets" / "demo"
MOST_REV = 2**53
NO_FENCE = (
    "This system has no fence around processes (Landlock, Linux 5.13 or newer): what visitors upload is checked and "
    "rebuilt before it is read, but nothing stands behind these checks."
)


class Session:
    """One server's engine: a data folder, its lock and its worker. Open it with `Session.open`.

    Sweeps and what is read of them are methods here; its parts are `data` (before a sweep), `compared` (one's own
    sentences), `runs` (earlier ones), `exports` and `uploads` (checkpoints).
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
            self._store.interrupt_active(SERVER_STOPPED)
            if home is not None and home.older:
                adopt(self._store, Inventory(self._store, data_dir))
                mark(data_dir)
        except GradiendUIError:
            self._lock.release()
            raise
        self._notices = [told for told in (home.notice if home else None, notice) if told]
        if public and not fence_version():
            self._notices.append(NO_FENCE)
        self._housekeeping = Housekeeping(self._store, data_dir, public)
        self._housekeeping.start()
        self._pictures = Pictures(self._store)
        trust = public_trust(*self._own.folders) if public else LOCAL
        self._worker = WorkerClient(
            data_dir / STORE_FILE,
            data_dir,
            demo_folder,
            partial(interrupt, self._store, states=("running",)),
            trust,
            number,
            places_of(PUBLIC if public else LOCAL_QUOTAS),
        )
        self._shared = shared = Shared(self._store, self._worker, data_dir, public, export_dir)
        self._resuming = Resuming(shared)
        self.data = Data(shared)
        self.compared = Comparisons(shared)
        self.runs = Runs(shared, self.select)
        self.exports = Exports(shared, self.select)
        self.uploads = Uploads(shared)

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
            interrupt(self._store)
        finally:
            self._store.close()
            self._lock.release()

    def about(self) -> About:
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
        return self._shared.quotas

    @property
    def downloads_dir(self) -> Path:
        """Where files for and from the browser pass through: a folder of this server in `downloads`. Raises Failed."""
        return self._housekeeping.cache

    # --- load ----------------------------------------------------------------------------------------------------

    def load(self, source: str, options: Mapping[str, object] | None = None) -> LoadAnswer:
        """The API's /load. Raises BadCheckpoint, BadBase, NotAllowed."""
        chosen = answers.checked_options(options, answers.LOAD_OPTIONS, "load")
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
            self._shared.loads.count(who_asks())
        kept = self.quotas.kept_loads
        if self._own.is_meant(source):
            with self._own.kept_from_visitors():
                card = self._worker.ask(Load(self._own.source, chosen, kept=kept))
        else:
            card = self._worker.ask(Load(source, chosen, kept=kept))
        known: Mapping[str, object] = card
        return cast(LoadAnswer, {key: known[key] for key in answers.LOAD_KEYS})

    def card(self, checkpoint: str) -> Card:
        """The /load answer plus what the page's form needs; an older card tells no finished sweeps. Raises NotFound."""
        return answers.whole_card(self._store.checkpoint(checkpoint)[2])

    # --- sweep ---------------------------------------------------------------------------------------------------

    def start_sweep(
        self, checkpoint: str, spec: AskedSweep | Mapping[str, Any] | None = None, visitor: str = ""
    ) -> StartedRun:
        """The API's /start_sweep: with the run's key, which is told here and never again.

        Raises BadGrid, BadData, NotFound, NotAllowed, Busy, TooLarge.
        """
        self._store.checkpoint(checkpoint)
        if spec is not None and not isinstance(spec, AskedSweep | Mapping):
            raise BadGrid(f"spec must be an object of options, not {shown(spec)}.")
        asked = self._asked(spec or {}, visitor)
        key, most = new_key(), {**self.quotas.sweep_size, **self.quotas.turns}
        started = self._worker.ask(StartSweep(checkpoint, asked, visitor, hashed(key), most))
        return {**started, "key": key}

    def _asked(self, spec: AskedSweep | Mapping[str, Any], visitor: str) -> AskedSweep:
        """What is asked for; of a stranger, whichever way it came, with nothing but data and uploads in it."""
        if not self._public:
            return spec if isinstance(spec, AskedSweep) else AskedSweep.of(spec)
        options = spec.as_json() if isinstance(spec, AskedSweep) else spec
        return AskedSweep.of(self.data.taken_in(options, visitor))

    def known_cells(self, checkpoint: str, asked: AskedSweep) -> int:
        """How many cells that somebody asks for are scored already (see `engine.sweep.known_cells`)."""
        return known_cells(self._store, checkpoint, asked)

    def open_finished(self, checkpoint: str, options: Mapping[str, object] | None = None) -> OpenedSweep:
        """The API's /open_finished. Raises BadGrid, NotFound."""
        self._store.checkpoint(checkpoint)
        chosen = answers.checked_options(options, answers.OPEN_OPTIONS, "open_finished")
        return self._worker.ask(OpenFinished(checkpoint, chosen.get("file")))

    def run_info(self, run: str) -> RunInfo:
        """What does not change in a run. Raises NotFound."""
        record = self._store.run(run)
        info = record.info
        spec: RunSpec = {
            **info["spec"],
            "feature_factors": info["feature_factors"],
            "learning_rates": info["learning_rates"],
            "neutral_set": info["neutral_set"],
        }
        return {
            "run": record.id,
            "checkpoint": record.checkpoint,
            "card": self.card(record.checkpoint),
            "spec": spec,
            "data": self.data.of_run(record),
            "warnings": info["warnings"],
            "classes": info["classes"],
            "imported": answers.imported(record),
            "neutral_tokens": info["neutral_tokens"],
            "created": record.created,
            "made_by": info.get("made_by"),
        }

    def revision(self, run: str) -> tuple[int, str, int]:
        """(rev, state, position in the queue): cheap enough to poll many times a second."""
        rev, state = self._store.revision(run)
        return rev, state, self._store.position(run) if state == "queued" else 0

    def cells(self, run: str, rev: int = 0) -> CellsAnswer:
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
            "eta_seconds": answers.seconds_left(record),
            "base": answers.cell_json(base, classes),
            "cells": [
                answers.cell_json(score, classes)
                for score in changed
                if score.cell is not None and score.status != "pending"
            ],
            "error": record.error,
            "earlier_scorer": answers.of_earlier_scorer(record),
        }

    def role(self, run: str, asker: Asker) -> str:
        """What the asker is to the run (see `server.door.roles`). Raises NotFound, NotAllowed."""
        return self._shared.keys.role(run, asker)

    def check_control(self, run: str, asker: Asker) -> None:
        """Raises NotFound, and NotAllowed where the asker may only watch the run."""
        self._shared.keys.check(run, asker)

    def pause(self, run: str, asker: Asker = THIS_MACHINE) -> StateAnswer:
        """The API's /pause. Raises NotFound, NotAllowed."""
        self.check_control(run, asker)
        return {"state": self._store.set_state(run, "paused", only_from=GOING_STATES)}

    def resume(self, run: str, asker: Asker = THIS_MACHINE) -> StateAnswer:
        """Queue the run again where it is not going on. Raises NotFound, NotAllowed, Busy."""
        self.check_control(run, asker)
        return self._resuming.resume(run)

    def finish_cell(self, run: str, cell: Mapping[str, Any], asker: Asker = THIS_MACHINE) -> StateAnswer:
        """The API's /finish_cell: score a cell that a search for the winner skipped.

        Raises NotFound, NotAllowed, BadGrid, Busy.
        """
        self.check_control(run, asker)
        return self._resuming.finish_cell(run, Cell.of(cell))

    def stop(self, run: str, asker: Asker = THIS_MACHINE) -> StateAnswer:
        """The API's /stop. Raises NotFound, NotAllowed."""
        self.check_control(run, asker)
        return {"state": self._store.set_state(run, "stopped", only_from=STOPPABLE_STATES)}

    # --- reading a run -------------------------------------------------------------------------------------------

    def select(self, run: str, options: Mapping[str, object] | None = None) -> SelectionAnswer:
        """The API's /select. Raises NotFound while nothing can be selected yet."""
        record = self._store.run(run)
        _, scores = self._store.cells(run)
        return select(answers.question_of(record, options), scores[0], scores[1:]).to_json()

    def picture(self, run: str, options: Mapping[str, object] | None = None) -> Picture:
        """Everything a page draws of the run, with the selection for `options` (see `engine.selection.picture`)."""
        record = self._store.run(run)
        grid = Grid(tuple(record.info["feature_factors"]), tuple(record.info["learning_rates"]))
        rev, picture = self._pictures.of(run, grid, answers.question_of(record, options))
        return {
            "rev": rev,
            "state": record.state,
            "done": record.done,
            "total": record.total,
            "eta_seconds": answers.seconds_left(record),
            "position": self._store.position(run),
            "error": record.error,
            "imported": answers.imported(record),
            "neutral_set": record.info["neutral_set"],
            "precision": record.info["spec"].get("precision", DEFAULT_PRECISION),
            "search": answers.search_of(record),
            "earlier_scorer": answers.of_earlier_scorer(record),
            **picture,
        }

    def compare(
        self,
        run: str,
        cells: Sequence[Mapping[str, float]],
        texts: Sequence[str],
        options: Mapping[str, object] | None = None,
    ) -> CompareAnswer:
        """The API's /compare. Raises BadData, BadGrid, TooLarge, NotFound."""
        self._store.revision(run)
        check_compared(cells, texts)
        chosen = {} if options is None else options
        if not isinstance(chosen, Mapping):
            raise BadGrid(f"The options of compare must be an object, not {shown(chosen)}.")
        named = tuple(map(Cell.of, cells))
        if self._public:
            self.compared.ahead(run, named, texts, chosen)
        return self._worker.ask(Compare(run, named, tuple(texts), dict(chosen)))

    def export(self, run: str, options: Mapping[str, object], visitor: str = "") -> str:
        """The API's /export: path of a zip, kept for an hour. Raises BadGrid, BadName, NotFound, Busy, Failed."""
        return self.exports.zip_of(run, options, visitor)
