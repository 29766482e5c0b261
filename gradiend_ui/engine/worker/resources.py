"""What a worker has at hand: the store, loaded checkpoints and prepared sweeps, the newest few of each.

Shared by all requests of one device. Knows no process and no pipe, and answers nothing by itself.
"""

from __future__ import annotations

import gc
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch

from gradiend_ui.engine.answers.checkpoint import StoredCard
from gradiend_ui.engine.base.finding import Scoring, head_left_aside, load_base, tokenizer_left_aside
from gradiend_ui.engine.base.shared import SharedBases, overwritten
from gradiend_ui.engine.base.uploaded import clean_home, home_of
from gradiend_ui.engine.checkpoint.companions import find_companions
from gradiend_ui.engine.checkpoint.demos import DEMOS, checkpoint_folder
from gradiend_ui.engine.checkpoint.loaded import Trained, read_trained
from gradiend_ui.engine.checkpoint.reading import Checkpoint, read_checkpoint
from gradiend_ui.engine.data.columns import in_own_spelling, of_known_classes_only
from gradiend_ui.engine.data.neutral_texts import capped_neutral
from gradiend_ui.engine.errors import BadData, BadGrid, NotAllowed, shown
from gradiend_ui.engine.files.bounded_cache import Memory
from gradiend_ui.engine.files.confined import OWN_TABLES, TABLES, run_confined
from gradiend_ui.engine.files.json_files import reading_at_most
from gradiend_ui.engine.files.model_files import UPLOADS
from gradiend_ui.engine.files.processes import Beside
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.scoring.targets import ClassTargets, resolve_targets
from gradiend_ui.engine.store.runs import Run
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.sweep.plan import PreparedSweep, class_order, prepare
from gradiend_ui.engine.sweep.spec import AskedSweep
from gradiend_ui.engine.uploads.request_limits import check_size
from gradiend_ui.engine.uploads.trust import LOCAL, Trust
from gradiend_ui.engine.values import DEFAULT_LIMITS, MAX_CLASS_NAME, MAX_CLASSES, BatchLimits, Grid
from gradiend_ui.engine.worker.data import SweepData
from gradiend_ui.engine.worker.health_card import Loaded
from gradiend_ui.engine.worker.requests import Most

PREPARED_AT_MOST = 10
"""Times as many rows as may be scored are looked through to find them."""
KEPT_CHECKPOINTS = 3
KEPT_PLANS = 8
STRANGERS_VALUES = 400_000
"""JSON values that are read of one upload: about a third of a second."""


class Resources:
    """Serves one device. `demo_folder` holds the bundled demo; exports and uploads go under `data_dir`.

    trust: for whom it reads files. waits: whether what takes a process of its own is waited for; else whoever asks
    for it meets `beside.NotYet` and has to come again. secret: of this process, for what strangers may not work out.
    """

    def __init__(
        self, store: Store, data_dir: Path, demo_folder: Path, trust: Trust = LOCAL, *, waits: bool = True
    ) -> None:
        self.store = store
        self.data_dir = data_dir
        self.demo_folder = demo_folder
        self.trust = trust
        self.answers: Memory[Any] = Memory()
        self.secret = secrets.token_bytes(16)
        self.beside = Beside(waits=waits, run=partial(run_confined, limits=TABLES if trust.public else OWN_TABLES))
        self.data = SweepData(store, data_dir, self.beside)
        self._bases = SharedBases()
        self._loaded: Memory[Loaded] = Memory(KEPT_CHECKPOINTS)
        self._plans: Memory[PreparedSweep] = Memory(KEPT_PLANS)

    # --- checkpoints ---------------------------------------------------------------------------------------------

    def read_checkpoint(self, source: str, options: Mapping[str, Any]) -> Loaded:
        """Read a checkpoint: a bundled demo's name or a folder. Its base model is the one in use, where that is it.

        Raises BadCheckpoint, BadBase, BadGrid, BadData, and NotAllowed or TooLarge for what strangers may not bring.
        """
        folder = checkpoint_folder(source, self.demo_folder)
        trust = self._trust_in(source, folder)
        prompt = options.get("chat_prompt")
        if prompt is not None and not isinstance(prompt, bool):
            raise BadGrid(f"chat_prompt must be true or false, not {shown(prompt)}.")
        scoring = Scoring(chat_prompt=prompt)
        beside = self.data.companions_beside(read_checkpoint(folder, trust), trust) if trust.public else None
        model = self._with_base(read_trained(folder, trust), options.get("base_model"), scoring, trust)
        given = options.get("encoding_direction")
        if given is not None and given != {}:
            model.feature_class_encoding_direction = checked_direction(given)
        companions = beside or find_companions(model.checkpoint.folder, model.source, trust)
        if companions.rows is not None:
            direction = model.checkpoint.known_classes
            rows = of_known_classes_only(direction, in_own_spelling(direction, companions.rows))
            companions = replace(companions, rows=rows)
        return Loaded(model, model.workspace(), companions)

    @contextmanager
    def bounded(self, source: str) -> Iterator[None]:
        """While the block runs, what is read of a stranger's source is bounded over all its JSON files together."""
        with reading_at_most(STRANGERS_VALUES) if self.is_strangers(source) else nullcontext():
            yield

    def is_strangers(self, source: str) -> bool:
        """Whether a source was brought by a stranger. Raises NotAllowed for one that may not be read at all."""
        return self._trust_in(source, checkpoint_folder(source, self.demo_folder)).public

    def left_aside(self, source: str, checkpoint: Checkpoint) -> tuple[str, ...]:
        """Sentences on what an upload names on the machine that packed it, and what was read in its place."""
        trust = self._trust_in(source, checkpoint_folder(source, self.demo_folder))
        found = (tokenizer_left_aside(checkpoint, trust), head_left_aside(checkpoint, trust))
        return tuple(sentence for sentence in found if sentence is not None)

    def _trust_in(self, source: str, folder: Path) -> Trust:
        """For whom a source is read: what was uploaded is read from its own upload and the demos only."""
        uploads, public = Path(os.path.realpath(self.data_dir / UPLOADS)), self.trust.public
        home = None if source in DEMOS else home_of(folder, uploads)
        if home is None:  # the owner's folder may lie around the uploads
            if public and source not in DEMOS and not self.trust.owns(folder):
                raise NotAllowed("This server opens its own demos and uploads: paths on the server are not read.")
            return LOCAL
        if home.is_dir():
            clean_home(home, strangers=public)
        return replace(self.trust, homes=(home,), hub=uploads) if public else LOCAL.within(home)

    def _with_base(self, trained: Trained, given: str | None, scoring: Scoring, trust: Trust) -> ModelWithGradiend:
        """As `ModelWithGradiend.from_pretrained` joins them, around a base model that others may use too."""
        load = self._bases.load
        base, location = load_base(trained.checkpoint, given, None, torch.float32, None, None, scoring, load, trust)
        return ModelWithGradiend(trained, base, location)

    def keep_checkpoint(self, handle: str, loaded: Loaded) -> None:
        """Keep it, drop the longest unused one, and with it the plans that were made for what is dropped."""
        self._loaded.keep(handle, loaded)
        models = {id(kept.model) for kept in self._loaded.values()}
        self._plans.drop_unless(lambda plan: id(plan.model) in models)

    def checkpoint(self, handle: str) -> Loaded:
        """The checkpoint of this handle, read again when it was dropped or its base model was overwritten.

        Raises NotFound and as reading does.
        """
        loaded = self._loaded.get(handle)
        if loaded is None or overwritten(loaded.model.base):
            source, options, _ = self.store.checkpoint(handle)
            with self.bounded(source):
                loaded = self.read_checkpoint(source, options)
                self.keep_checkpoint(handle, loaded)
        return loaded

    def known_card(self, handle: str, source: str) -> StoredCard | None:
        """The card of a demo that is in memory on a server of strangers, where every page that opens asks for it; its
        record counts as used now. None for anything else: its files may have changed."""
        fixed = self.trust.public and source in DEMOS
        loaded = self._loaded.look(handle) if fixed else None
        if loaded is None or overwritten(loaded.model.base):
            return None
        return cast("StoredCard | None", self.store.use_checkpoint(handle))

    def forget(self) -> None:
        """Give the memory of everything that can be read again back."""
        self._loaded.clear()
        self._plans.clear()
        self.data.forget()
        self._bases.forget()
        self.answers.clear()
        gc.collect()

    # --- plans ---------------------------------------------------------------------------------------------------

    def check_extent(self, loaded: Loaded, asked: AskedSweep, most: Most) -> None:
        """Whether the rows and texts of a sweep are as few as this server takes, before any is tokenized. Raises
        BadData, TooLarge."""
        if not most:
            return
        spec = asked.spec
        neutral = capped_neutral(self.data.neutral(loaded, asked.data) or (), spec.max_neutral)
        check_size(most, texts=len(neutral))
        data = self.data.rows(loaded, asked.data)
        check_size(most, rows=-(-len(data.rows) // PREPARED_AT_MOST))
        rows = data.chosen(spec.split, class_order(loaded.model, data), spec.max_rows)
        check_size(most, rows=len(rows))
        check_size(most, characters=sum(len(row.masked) for row in rows) + sum(map(len, neutral)))

    def prepared(
        self, loaded: Loaded, asked: AskedSweep, grid: Grid | None = None, limits: BatchLimits = DEFAULT_LIMITS
    ) -> PreparedSweep:
        """limits: the most that is scored at once."""
        rows, neutral = self.data.rows(loaded, asked.data), self.data.neutral(loaded, asked.data)
        plan = prepare(loaded.model, asked.spec, rows, neutral, grid=grid, limits=limits)
        self.store.take_over_results(plan)
        return replace(plan, warnings=(*plan.warnings, *map(str, rows.notes)))

    def keep_plan(self, run: str, plan: PreparedSweep) -> None:
        self._plans.keep(run, plan)

    def plan(self, run_id: str) -> PreparedSweep:
        """The run's plan, made again when it was dropped; that of a run of an earlier scorer is today's. Raises BadData
        when its ingredients have changed."""
        plan = self._plans.get(run_id)
        if plan is None:
            record = self.store.run(run_id)
            plan = self.planned(record, BatchLimits(**record.info.get("batches", {})))
            name = record.info["fingerprint"]
            if not plan.is_called(name) and not plan.is_of_earlier_scorer(name):
                raise BadData(
                    "The checkpoint or its data changed since this run began: its numbers would not fit together. "
                    "Start a new sweep."
                )
            self.keep_plan(run_id, plan)
        return plan

    def planned(self, record: Run, limits: BatchLimits) -> PreparedSweep:
        """The plan of a run's request, with other limits if need be."""
        grid = Grid(tuple(record.info["feature_factors"]), tuple(record.info["learning_rates"]))
        return self.prepared(self.checkpoint(record.checkpoint), AskedSweep.of(record.request), grid, limits)

    # --- runs ----------------------------------------------------------------------------------------------------

    def unchanged(self, record: Run, loaded: Loaded) -> Mapping[str, Any]:
        """The run's spec. Raises BadData when the checkpoint is not the one that the run belongs to."""
        imported = record.info.get("imported")
        if imported is None:
            self.plan(record.id)
        elif not loaded.model.is_called(imported["model"]):
            raise BadData(
                f"The checkpoint changed since {imported['file']} was opened: load it and open the sweep again, or "
                "start a new sweep."
            )
        spec: Mapping[str, Any] = record.info["spec"]
        return spec

    def targets(self, record: Run, loaded: Loaded) -> ClassTargets:
        """The class words of a run. Raises BadData for an opened one without rows to take them from."""
        if record.info.get("imported") is None:
            return self.plan(record.id).targets
        rows = loaded.companions.rows
        if rows is None:
            raise BadData(
                "Comparing needs the words of each class, and no evaluation rows lie beside this checkpoint: put "
                "eval.csv with the columns masked, label, label_class, alternative, alternative_class and split into "
                "its folder and load it again. Exporting works without."
            )
        return resolve_targets(rows.rows, tuple(record.info["classes"]), None)


def checked_direction(given: object) -> dict[str, float]:
    """{class: +1 or -1 or 0} as the user states it. Raises BadGrid."""
    if not isinstance(given, Mapping) or not all(value in (1, -1, 0) for value in given.values()):
        raise BadGrid(f"encoding_direction must give 1 or -1 for each class, not {shown(given)}.")
    if len(given) > MAX_CLASSES:
        raise BadGrid(f"encoding_direction names {len(given):,} classes; at most {MAX_CLASSES:,} are taken.")
    longest = max((len(str(name)) for name in given), default=0)
    if longest > MAX_CLASS_NAME:
        raise BadGrid(
            f"encoding_direction names a class with {longest:,} characters; at most {MAX_CLASS_NAME} are taken."
        )
    return {str(name): float(value) for name, value in given.items()}
