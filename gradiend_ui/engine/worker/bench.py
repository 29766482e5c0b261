"""What a lane has at hand: the store, loaded checkpoints and prepared sweeps, the newest few of each.

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
from typing import Any

import torch

from gradiend_ui.engine.base.demos import DEMOS, checkpoint_folder
from gradiend_ui.engine.base.finding import Scoring, head_left_aside, load_base, tokenizer_left_aside
from gradiend_ui.engine.base.rebuilding import clean_home, home_of
from gradiend_ui.engine.base.shared import SharedBases, overwritten
from gradiend_ui.engine.checkpoint.companions import Companions, find_companions
from gradiend_ui.engine.checkpoint.loaded import Trained, read_trained
from gradiend_ui.engine.checkpoint.reading import Checkpoint, read_checkpoint
from gradiend_ui.engine.data.columns import of_known_classes
from gradiend_ui.engine.data.rows import MAX_CLASSES, EvalData, capped_neutral, read_neutral, read_rows
from gradiend_ui.engine.data.table_reading import ReadTable
from gradiend_ui.engine.data.uploaded_tables import is_risky, read_upload, told_by_name, upload_path
from gradiend_ui.engine.errors import BadData, BadGrid, Failed, NotAllowed, TooLarge
from gradiend_ui.engine.files.bounded_cache import Memory
from gradiend_ui.engine.files.confined import OWN_TABLES, TABLES, run_confined
from gradiend_ui.engine.files.json_files import reading_at_most, shown
from gradiend_ui.engine.files.model_files import UPLOADS
from gradiend_ui.engine.files.processes import Beside
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.scoring.targets import ClassTargets, resolve_targets
from gradiend_ui.engine.store.store import Run, Store
from gradiend_ui.engine.sweep.plan import PreparedSweep, class_order, prepare
from gradiend_ui.engine.uploads.limits import check_size
from gradiend_ui.engine.uploads.trust import LOCAL, Trust
from gradiend_ui.engine.values import DEFAULT_LIMITS, NO_NEUTRAL, BatchLimits, Cell, Grid, SweepSpec, spec_from_mapping
from gradiend_ui.engine.worker.health_card import Loaded
from gradiend_ui.engine.worker.tables import companions_from, rows_from

PREPARED_AT_MOST = 10
"""Times as many rows as may be scored are looked through to find them."""
KEPT_CHECKPOINTS = 3
MAX_CLASS_NAME = 200
KEPT_PLANS = 8
CELL_BYTES, ROW_BYTES = 60, 600
KEPT_DATA_BYTES = 192 * 2**20
"""Rows, texts and tables that were read last; those of all visitors together."""
STRANGERS_VALUES = 400_000
"""JSON values that are read of one upload: about a third of a second."""
DATA_KEYS = ("rows", "columns", "neutral", "neutral_set")
SOURCES = ("run", "upload", "path")
"""What names rows or texts that are not given as such: an earlier run, a kept upload, a file."""


class Bench:
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
        self._bases = SharedBases()
        self._loaded: Memory[Loaded] = Memory(KEPT_CHECKPOINTS)
        self._plans: Memory[PreparedSweep] = Memory(KEPT_PLANS)
        self._data: Memory[Any] = Memory(KEPT_DATA_BYTES)

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
        beside = self._companions_beside(read_checkpoint(folder, trust), trust) if trust.public else None
        model = self._with_base(read_trained(folder, trust), options.get("base_model"), scoring, trust)
        given = options.get("encoding_direction")
        if given is not None and given != {}:
            model.feature_class_encoding_direction = checked_direction(given)
        companions = beside or find_companions(model.checkpoint.folder, model.source, trust)
        return Loaded(model, model.workspace(), companions)

    def _companions_beside(self, checkpoint: Checkpoint, trust: Trust) -> Companions:
        """What lies beside a stranger's checkpoint, read in a process of its own, before anything large is loaded.

        Kept, since a load may try a second base model; what was taken in does not change any more.
        """
        key, homes = ("companions", checkpoint.folder, checkpoint.source), [str(home) for home in trust.homes]
        companions: Companions | None = self._data.get(key)
        if companions is None:
            try:
                plain = self.beside.value(
                    "companions", checkpoint.folder, reads=trust.homes, source=checkpoint.source, homes=homes
                )
            except (BadData, TooLarge, Failed) as error:
                return Companions(warnings=(f"The data beside the checkpoint was not read: {error}",))
            companions = companions_from(plain)
            self._data.keep(key, companions, _size_of(companions))
        return companions

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

    def known_card(self, handle: str, source: str) -> dict[str, Any] | None:
        """The card of a demo that is in memory on a server of strangers, where every page that opens asks for it; its
        record counts as used now. None for anything else: its files may have changed."""
        fixed = self.trust.public and source in DEMOS
        loaded = self._loaded.look(handle) if fixed else None
        if loaded is None or overwritten(loaded.model.base):
            return None
        return self.store.use_checkpoint(handle)

    def forget(self) -> None:
        """Give the memory of everything that can be read again back."""
        self._loaded.clear()
        self._plans.clear()
        self._data.clear()
        self._bases.forget()
        self.answers.clear()
        gc.collect()

    # --- data and plans ------------------------------------------------------------------------------------------

    def rows(self, loaded: Loaded, data_options: Mapping[str, Any]) -> EvalData:
        """The rows that a spec asks for, else those beside the checkpoint. Raises BadData."""
        given = self.given(data_options, "rows")
        if isinstance(given, Mapping) and "upload" in given:
            with told_by_name(given):
                return with_known_classes(loaded, self._uploaded_rows(given, columns_of(data_options) or {}))
        if given is not None:
            data = read_rows(source_of(given), data_options.get("columns"), fill_alternatives=True)
            return with_known_classes(loaded, data)
        if loaded.companions.rows is None:
            raise BadData(
                "No evaluation rows lie beside this checkpoint: give rows, a table with the columns masked, label, "
                "label_class, alternative, alternative_class and split."
            )
        return loaded.companions.rows

    def given(self, data_options: Mapping[str, Any], key: str) -> Any:
        """Rows or texts as a spec gives them; {"run": id} stands for those of an earlier run. Raises NotFound."""
        given = data_options.get(key)
        if isinstance(given, Mapping) and "run" in given:
            given = self.store.run(given["run"]).request.get(key)
            if isinstance(given, Mapping) and "run" in given:
                return self.given({key: given}, key)
        return given

    def slow_upload(self, given: object) -> Path | None:
        """The file of rows or texts that are read in a process of their own; None for what is read here. Raises
        BadData."""
        if not isinstance(given, Mapping) or "upload" not in given:
            return None
        path = upload_path(self.data_dir, given["upload"])
        return path if is_risky(path) else None

    def read_upload(self, upload: object) -> ReadTable:
        """A small uploaded table as it was read; the newest stay in memory. Raises BadData, TooLarge."""
        path = upload_path(self.data_dir, upload)
        table: ReadTable | None = self._data.get(("table", path.name))
        if table is None:
            table = read_upload(path)
            self._data.keep(("table", path.name), table, _size_of(table))
        return table

    def _uploaded_rows(self, given: Mapping[str, Any], columns: Mapping[str, str]) -> EvalData:
        key, path = ("rows", given["upload"], tuple(sorted(columns.items()))), self.slow_upload(given)
        data: EvalData | None = self._data.get(key)
        if data is None:
            if path is None:
                data = read_rows(self.read_upload(given["upload"]), columns, fill_alternatives=True)
            else:
                data = rows_from(self.beside.value("checked_rows", path, given=dict(columns)))
            self._data.keep(key, data, _size_of(data))
        return data

    def _uploaded_texts(self, given: Mapping[str, Any]) -> tuple[str, ...]:
        path = self.slow_upload(given)
        if path is None:
            return read_neutral(self.read_upload(given["upload"]).frame)
        texts: tuple[str, ...] | None = self._data.get(("texts", path.name))
        if texts is None:
            texts = tuple(self.beside.value("neutral_texts", path))
            self._data.keep(("texts", path.name), texts, _size_of(texts))
        return texts

    def neutral_name(self, loaded: Loaded, data_options: Mapping[str, Any]) -> str | None:
        if data_options.get("neutral") is not None:
            return "own texts"
        name = data_options.get("neutral_set")
        if name == NO_NEUTRAL and name not in loaded.companions.neutral:
            return None
        return name or (None if data_options.get("rows") else loaded.companions.neutral_set)

    def neutral(self, loaded: Loaded, data_options: Mapping[str, Any]) -> tuple[str, ...] | None:
        """The neutral texts that a spec asks for; None where the rows stand in. Raises BadData."""
        given = self.given(data_options, "neutral")
        if isinstance(given, Mapping) and "upload" in given:
            with told_by_name(given):
                return self._uploaded_texts(given)
        if given is not None:
            return read_neutral(source_of(given))
        name = self.neutral_name(loaded, data_options)
        if name is None:
            return None
        if not isinstance(name, str) or name not in loaded.companions.neutral:
            known = ", ".join(loaded.companions.neutral) or "none"
            raise BadData(f"There is no neutral set {shown(name)}; there are: {known}.")
        return loaded.companions.neutral[name]

    def check_extent(
        self, loaded: Loaded, spec: SweepSpec, data_options: Mapping[str, Any], most: Mapping[str, Any]
    ) -> None:
        """Whether the rows and texts of a sweep are as few as this server takes, before any is tokenized. Raises
        BadData, TooLarge."""
        if not most:
            return
        neutral = capped_neutral(self.neutral(loaded, data_options) or (), spec.max_neutral)
        check_size(most, texts=len(neutral))
        data = self.rows(loaded, data_options)
        check_size(most, rows=-(-len(data.rows) // PREPARED_AT_MOST))
        rows = data.chosen(spec.split, class_order(loaded.model, data), spec.max_rows)
        check_size(most, rows=len(rows))
        check_size(most, characters=sum(len(row.masked) for row in rows) + sum(map(len, neutral)))

    def prepared(
        self,
        loaded: Loaded,
        spec: SweepSpec,
        data_options: Mapping[str, Any],
        grid: Grid | None = None,
        limits: BatchLimits = DEFAULT_LIMITS,
    ) -> PreparedSweep:
        """limits: the most that is scored at once."""
        rows, neutral = self.rows(loaded, data_options), self.neutral(loaded, data_options)
        plan = prepare(loaded.model, spec, rows, neutral, grid=grid, limits=limits)
        self.store.take_over_results(plan)
        return replace(plan, warnings=(*plan.warnings, *rows.notes))

    def keep_plan(self, run: str, plan: PreparedSweep) -> None:
        self._plans.keep(run, plan)

    def plan(self, run_id: str) -> PreparedSweep:
        """The run's plan, made again when it was dropped. Raises BadData when its ingredients have changed."""
        plan = self._plans.get(run_id)
        if plan is None:
            record = self.store.run(run_id)
            plan = self.planned(record, BatchLimits(**record.info.get("batches", {})))
            if not plan.is_called(record.info["fingerprint"]):
                raise BadData(
                    "The checkpoint or its data changed since this run began: its numbers would not fit together. "
                    "Start a new sweep."
                )
            self.keep_plan(run_id, plan)
        return plan

    def planned(self, record: Run, limits: BatchLimits) -> PreparedSweep:
        """The plan of a run's request, with other limits if need be."""
        options, data_options = split_options(record.request)
        grid = Grid(tuple(record.info["feature_factors"]), tuple(record.info["learning_rates"]))
        return self.prepared(self.checkpoint(record.checkpoint), spec_from_mapping(options), data_options, grid, limits)

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


def with_known_classes(loaded: Loaded, data: EvalData) -> EvalData:
    """The same rows. Raises BadData where the checkpoint knows the direction of none of their classes."""
    return of_known_classes(loaded.model.encoding_direction, data)


def split_options(spec: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(options of a `SweepSpec`, options that name the data); absent ones are left out."""
    options = {key: value for key, value in spec.items() if value is not None}
    return options, {key: options.pop(key) for key in DATA_KEYS if key in options}


def asked_options(spec: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """`split_options` of a spec that somebody sends now: what names the data is of its kind, also where nothing needs
    it. Raises BadData."""
    options, data_options = split_options(spec)
    columns_of(data_options)
    name = data_options.get("neutral_set")
    if name is not None and not isinstance(name, str):
        raise BadData(f"neutral_set must be the name of a set of neutral texts, not {shown(name)}.")
    for key in ("rows", "neutral"):
        _check_source(key, data_options.get(key))
    return options, data_options


def _check_source(key: str, given: object) -> None:
    """Rows or texts that are named and not given are named in one way."""
    if not isinstance(given, Mapping):
        return
    named = [kind for kind in SOURCES if kind in given]
    accepted = f"{key} must be a list, or an object with one of {', '.join(SOURCES)}"
    if len(named) != 1:
        raise BadData(f"{accepted}, not one with {', '.join(map(shown, given)) or 'nothing in it'}.")
    if not isinstance(given[named[0]], str):
        raise BadData(f"{accepted}; {named[0]} must be text, not {shown(given[named[0]])}.")


def columns_of(data_options: Mapping[str, Any]) -> Mapping[str, str] | None:
    """Which column plays which role, as a spec says; None where it says nothing. Raises BadData."""
    given = data_options.get("columns")
    if given is not None and not (isinstance(given, Mapping) and all(isinstance(c, str) for c in given.values())):
        raise BadData(f"columns must be an object of our names and the table's, both text, not {shown(given)}.")
    return given


def cell_of(data: object) -> Cell:
    """A cell from JSON. Raises BadGrid."""
    if not isinstance(data, Mapping) or "feature_factor" not in data or "learning_rate" not in data:
        raise BadGrid("A cell needs feature_factor and learning_rate.")
    return Cell(data["feature_factor"], data["learning_rate"])


def source_of(given: Any) -> Any:
    """Rows or texts as given: records, texts, a path, or the {"path": ...} of an uploaded file."""
    return given["path"] if isinstance(given, Mapping) and "path" in given else given


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


def _size_of(data: ReadTable | EvalData | Companions | tuple[str, ...] | None) -> int:
    """Bytes of memory that it takes, roughly: its texts, and what Python needs for each."""
    if isinstance(data, ReadTable):
        return data.text_bytes + int(data.frame.size) * CELL_BYTES
    if isinstance(data, EvalData):
        rows = sum(len(row.masked) + ROW_BYTES for row in data.rows)
        return rows + len(data.rejected) * ROW_BYTES
    if isinstance(data, Companions):
        return sum(map(_size_of, (data.rows, *data.neutral.values())))
    return sum(len(text) + CELL_BYTES for text in data or ())
