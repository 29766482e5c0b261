"""One lane of work on one device: loaded checkpoints, the sweep in progress, and requests in between.

A plain object without processes or pipes: `handle` answers one request, `step` scores one block. The worker process
alternates the two, so that a click is answered during a sweep; tests and scripts may drive it directly.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import shutil
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gradiend_ui.engine.companions import find_companions
from gradiend_ui.engine.errors import BadData, BadGrid, GradiendUIError
from gradiend_ui.engine.eval_data import EvalData, read_neutral, read_rows
from gradiend_ui.engine.export import Rewrite, export_checkpoint, zip_folder
from gradiend_ui.engine.finished_check import check, opened_info
from gradiend_ui.engine.finished_sweeps import finished_sweeps, shown_scores, sweep_named
from gradiend_ui.engine.health_card import Loaded, card_of, export_facts, probe
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.plan import PreparedSweep, prepare
from gradiend_ui.engine.predict import compare
from gradiend_ui.engine.store import Run, Store
from gradiend_ui.engine.sweep import Progress, run
from gradiend_ui.engine.targets import ClassTargets, resolve_targets
from gradiend_ui.engine.values import (
    PARTS,
    Cell,
    Grid,
    SweepSpec,
    spec_from_mapping,
)

log = logging.getLogger(__name__)
KEPT_CHECKPOINTS = 3
KEPT_PLANS = 8
DATA_KEYS = ("rows", "columns", "neutral", "neutral_set")
DEMO = "demo"


class Lane:
    """Serves one device. `demo_folder` holds the bundled demo; exports go under `data_dir`."""

    def __init__(self, store: Store, data_dir: Path, demo_folder: Path) -> None:
        self._store = store
        self._data_dir = data_dir
        self._demo_folder = demo_folder
        self._loaded: OrderedDict[str, Loaded] = OrderedDict()
        self._plans: OrderedDict[str, PreparedSweep] = OrderedDict()
        self._current: tuple[str, Iterator[Progress]] | None = None
        self._requests: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "load": self._load,
            "start": self._start,
            "open_finished": self._open_finished,
            "compare": self._compare,
            "export": self._export,
            "wake": lambda _request: None,
        }

    def handle(self, kind: str, request: Mapping[str, Any]) -> Any:
        """Answer one request: load, start, open_finished, compare, export or wake. Raises GradiendUIError."""
        return self._requests[kind](request)

    def step(self) -> bool:
        """Score one block of the running or next queued run; False when nothing waits."""
        if self._current is None:
            run_id = self._store.next_queued()
            if run_id is None or self._store.set_state(run_id, "running", only_from=("queued",)) != "running":
                return False
            self._guarded(run_id, lambda: self._begin(run_id))
            return True
        run_id, progress = self._current
        if self._store.revision(run_id)[1] != "running":
            self._current = None  # paused, stopped or interrupted: what is scored is kept
            return True
        self._guarded(run_id, lambda: self._advance(run_id, progress))
        return True

    def _guarded(self, run_id: str, action: Any) -> None:
        """The one place that may catch everything: a failing run must not take the lane with it."""
        try:
            action()
        except GradiendUIError as error:
            self._fail(run_id, str(error))
        except Exception as error:
            log.exception("run %s failed", run_id)
            self._fail(run_id, f"The sweep met an unexpected error ({type(error).__name__}): see the server's log.")

    def _fail(self, run_id: str, sentence: str) -> None:
        self._current = None
        self._store.set_state(run_id, "failed", only_from=("running",), error=sentence)

    def _begin(self, run_id: str) -> None:
        record = self._store.run(run_id)
        loaded = self._checkpoint(record.checkpoint)
        plan = self._plan(run_id)
        reuse = not plan.spec.again
        self._current = (run_id, run(plan, loaded.workspace, self._store, run_id, reuse=reuse))

    def _advance(self, run_id: str, progress: Iterator[Progress]) -> None:
        if next(progress, None) is None:
            self._current = None
            self._store.set_state(run_id, "finished", only_from=("running",))

    # --- checkpoints ---------------------------------------------------------------------------------------------

    def _load(self, request: Mapping[str, Any]) -> dict[str, Any]:
        source, options = str(request["source"]), dict(request["options"])
        handle = "ck_" + hashlib.sha256(json.dumps([source, options], sort_keys=True).encode()).hexdigest()[:20]
        loaded = self._read_checkpoint(source, options)
        self._keep(self._loaded, handle, loaded, KEPT_CHECKPOINTS)
        card = {"checkpoint": handle, **card_of(loaded, "demo" if source == DEMO else Path(source).name)}
        seconds, warnings = probe(loaded)
        card |= {"seconds_per_cell": seconds, "warnings": [*card["warnings"], *warnings]}
        self._store.save_checkpoint(handle, source, options, card)
        return card

    def _checkpoint(self, handle: str) -> Loaded:
        if handle not in self._loaded:
            source, options, _ = self._store.checkpoint(handle)
            self._keep(self._loaded, handle, self._read_checkpoint(source, options), KEPT_CHECKPOINTS)
        self._loaded.move_to_end(handle)
        return self._loaded[handle]

    def _read_checkpoint(self, source: str, options: Mapping[str, Any]) -> Loaded:
        folder = self._demo_folder / "gradiend" if source == DEMO else Path(source).expanduser()
        prompt = options.get("chat_prompt")
        if prompt is not None and not isinstance(prompt, bool):
            raise BadGrid(f"chat_prompt must be true or false, not {prompt!r}.")
        model = ModelWithGradiend.from_pretrained(folder, options.get("base_model"), chat_prompt=prompt)
        given = options.get("encoding_direction")
        if given:
            model.feature_class_encoding_direction = checked_direction(given)
        return Loaded(model, model.workspace(), find_companions(model.checkpoint.folder, model.source))

    @staticmethod
    def _keep(kept: OrderedDict[str, Any], key: str, value: Any, limit: int) -> None:
        kept[key] = value
        kept.move_to_end(key)
        while len(kept) > limit:
            kept.popitem(last=False)

    # --- sweeps --------------------------------------------------------------------------------------------------

    def _start(self, request: Mapping[str, Any]) -> dict[str, Any]:
        handle = str(request["checkpoint"])
        loaded = self._checkpoint(handle)
        options = {k: v for k, v in dict(request["spec"]).items() if v is not None}
        data_options = {key: options.pop(key) for key in DATA_KEYS if key in options}
        spec = spec_from_mapping(options)
        plan = self._prepared(loaded, spec, data_options)
        info = {
            "classes": list(plan.targets.classes),
            "strengthening": loaded.model.strengthening_feature_factor,
            "feature_factors": list(plan.grid.feature_factors),
            "learning_rates": list(plan.grid.learning_rates),
            "neutral_set": self._neutral_name(loaded, data_options),
            "rows": len(plan.rows),
            "neutral_tokens": plan.lms.tokens,
            "warnings": list(plan.warnings),
            "fingerprint": plan.fingerprint,
            "spec": {name: getattr(spec, name) for name in ("goal", "part", "token_boundary", "split", "again")}
            | {"target_classes": list(spec.target_classes or plan.targets.classes)},
        }
        run_id = self._store.create_run(handle, {**options, **data_options}, info, plan.grid.cells)
        self._keep(self._plans, run_id, plan, KEPT_PLANS)
        return {"run": run_id, "cells": len(plan.grid), "position": self._store.position(run_id)}

    def _open_finished(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """A finished sweep that lies beside a loaded checkpoint as a run of the store; nothing is swept."""
        handle = str(request["checkpoint"])
        loaded = self._checkpoint(handle)
        sweeps, _ = finished_sweeps(loaded.model.checkpoint.folder)
        sweep = sweep_named(sweeps, dict(request.get("options") or {}).get("file"))
        checked = check(sweep, loaded.model, loaded.workspace, loaded.companions)
        info, scores = opened_info(sweep, loaded.model, checked), shown_scores(sweep.cache)
        run_id = self._store.create_finished_run(handle, {}, info, scores)
        imported = info["imported"]
        return {"run": run_id, "cells": len(scores) - 1, "check": imported["check"], "note": imported["note"]}

    def _plan(self, run_id: str) -> PreparedSweep:
        if run_id not in self._plans:
            record = self._store.run(run_id)
            options = dict(record.request)
            data_options = {key: options.pop(key) for key in DATA_KEYS if key in options}
            grid = Grid(tuple(record.info["feature_factors"]), tuple(record.info["learning_rates"]))
            loaded = self._checkpoint(record.checkpoint)
            plan = self._prepared(loaded, spec_from_mapping(options), data_options, grid)
            if plan.fingerprint != record.info["fingerprint"]:
                raise BadData(
                    "The checkpoint or its data changed since this run began: its numbers would not fit together. "
                    "Start a new sweep."
                )
            self._keep(self._plans, run_id, plan, KEPT_PLANS)
        return self._plans[run_id]

    def _prepared(
        self, loaded: Loaded, spec: SweepSpec, data_options: Mapping[str, Any], grid: Grid | None = None
    ) -> PreparedSweep:
        return prepare(loaded.model, spec, _rows(loaded, data_options), self._neutral(loaded, data_options), grid=grid)

    @staticmethod
    def _neutral_name(loaded: Loaded, data_options: Mapping[str, Any]) -> str | None:
        if data_options.get("neutral") is not None:
            return "own texts"
        return data_options.get("neutral_set") or (None if data_options.get("rows") else loaded.companions.neutral_set)

    def _neutral(self, loaded: Loaded, data_options: Mapping[str, Any]) -> tuple[str, ...] | None:
        given = data_options.get("neutral")
        if given is not None:
            return read_neutral(_source_of(given))
        name = self._neutral_name(loaded, data_options)
        if name is None:
            return None
        if not isinstance(name, str) or name not in loaded.companions.neutral:
            known = ", ".join(loaded.companions.neutral) or "none"
            raise BadData(f"There is no neutral set {name!r}; there are: {known}.")
        return loaded.companions.neutral[name]

    # --- side by side and export ---------------------------------------------------------------------------------

    def _compare(self, request: Mapping[str, Any]) -> dict[str, Any]:
        record = self._store.run(str(request["run"]))
        loaded = self._checkpoint(record.checkpoint)
        options = dict(request.get("options") or {})
        unknown = sorted(set(options) - {"top_k"})
        if unknown:
            raise BadGrid(f"Unknown option {unknown[0]!r}; /compare knows top_k.")
        spec = self._unchanged(record, loaded)
        return {
            "texts": compare(
                loaded.model,
                loaded.workspace,
                [_cell(cell) for cell in request["cells"]],
                list(request["texts"]),
                targets=self._targets(record, loaded),
                token_boundary=spec["token_boundary"],
                part=spec["part"],
                top_k=options.get("top_k", 5),
            )
        }

    def _unchanged(self, record: Run, loaded: Loaded) -> Mapping[str, Any]:
        """The run's spec. Raises BadData when the checkpoint is not the one that the run belongs to."""
        imported = record.info.get("imported")
        if imported is None:
            self._plan(record.id)
        elif imported["model"] != loaded.model.fingerprint:
            raise BadData(
                f"The checkpoint changed since {imported['file']} was opened: load it and open the sweep again, or "
                "start a new sweep."
            )
        spec: Mapping[str, Any] = record.info["spec"]
        return spec

    def _targets(self, record: Run, loaded: Loaded) -> ClassTargets:
        """The class words of a run. Raises BadData for an opened one without rows to take them from."""
        if record.info.get("imported") is None:
            return self._plan(record.id).targets
        rows = loaded.companions.rows
        if rows is None:
            raise BadData(
                "Comparing needs the words of each class, and no evaluation rows lie beside this checkpoint: put "
                "eval.csv with the columns masked, label, label_class, alternative, alternative_class and split into "
                "its folder and load it again. Exporting works without."
            )
        return resolve_targets(rows.rows, tuple(record.info["classes"]), None)

    def _export(self, request: Mapping[str, Any]) -> str:
        record = self._store.run(str(request["run"]))
        loaded = self._checkpoint(record.checkpoint)
        spec = self._unchanged(record, loaded)
        options = dict(request["options"])
        if options.get("kind", "checkpoint") != "checkpoint":
            raise BadGrid(f"kind must be checkpoint, not {options['kind']!r}.")
        part = options.get("part") or spec["part"]
        if part not in PARTS:
            raise BadGrid(f"part must be one of {', '.join(PARTS)}, not {part!r}.")
        cell = _cell(options)
        _, scores = self._store.cells(record.id)
        facts = export_facts(record.info, scores, cell if part == spec["part"] else None)
        card = self._store.checkpoint(record.checkpoint)[2]
        name = f"{card['name']}-ff{cell.feature_factor:g}-lr{cell.learning_rate:g}"
        name = "".join(c if c.isalnum() or c in "-._" else "_" for c in name)[:100].lstrip(".")
        stage = self._data_dir / "exports" / secrets.token_urlsafe(12)
        folder = export_checkpoint(loaded.model, Rewrite(cell, part, facts), stage / name)
        try:
            return str(zip_folder(folder, stage / f"{name}.zip"))
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _cell(data: object) -> Cell:
    if not isinstance(data, Mapping) or "feature_factor" not in data or "learning_rate" not in data:
        raise BadGrid("A cell needs feature_factor and learning_rate.")
    return Cell(data["feature_factor"], data["learning_rate"])


def _source_of(given: Any) -> Any:
    """Rows or texts as given: records, texts, a path, or the {"path": ...} of an uploaded file."""
    return given["path"] if isinstance(given, Mapping) and "path" in given else given


def _rows(loaded: Loaded, data_options: Mapping[str, Any]) -> EvalData:
    given = data_options.get("rows")
    if given is not None:
        return read_rows(_source_of(given), data_options.get("columns"))
    if loaded.companions.rows is None:
        raise BadData(
            "No evaluation rows lie beside this checkpoint: give rows, a table with the columns masked, label, "
            "label_class, alternative, alternative_class and split."
        )
    return loaded.companions.rows


def checked_direction(given: object) -> dict[str, float]:
    """{class: +1 or -1 or 0} as the user states it. Raises BadGrid."""
    if not isinstance(given, Mapping) or not all(value in (1, -1, 0) for value in given.values()):
        raise BadGrid(f"encoding_direction must give 1 or -1 for each class, not {given!r}.")
    return {str(name): float(value) for name, value in given.items()}
