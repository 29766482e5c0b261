"""What is done while writing fails, and what must be true of the data folder afterwards.

A workload says each thing that it completed ("cell RUN 3"); whatever was said must be there, whole. Knows no fault.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from transformers import AutoModelForMaskedLM

from gradiend_ui.engine.checkpoint.config import (
    DECODER_BIAS,
    DECODER_WEIGHT,
    ENCODER_BIAS,
    ENCODER_WEIGHT,
    Architecture,
)
from gradiend_ui.engine.checkpoint.writing import save_checkpoint
from gradiend_ui.engine.data.uploaded_tables import keep_upload, upload_path
from gradiend_ui.engine.errors import GradiendUIError, NotFound
from gradiend_ui.engine.export.checkpoint import MANIFEST, RECIPE, export_checkpoint, save_rewritten, zip_folder
from gradiend_ui.engine.export.model_card import Rewrite
from gradiend_ui.engine.files.whole_or_absent import noting
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.store.inventory import Inventory
from gradiend_ui.engine.store.opening import log_is_cut
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.uploads.archives import unpack_archive
from gradiend_ui.engine.values import Cell, CellScore
from gradiend_ui.engine.worker.handlers import exporting
from gradiend_ui.engine.worker.requests import Export, Pack
from gradiend_ui.engine.worker.resources import Resources
from gradiend_ui.server.exports import Exports
from gradiend_ui.server.shared import Shared
from tests.support.tiny_models import save_tiny_bert

Say = Callable[[str], None]
Answer = TypeVar("Answer")
CELLS = tuple(Cell(factor, rate) for factor in (-1.0, 1.0) for rate in (0.01, 0.1, 1.0))
BLOCKS = 3
FIRST, SECOND = Cell(-1.0, 0.5), Cell(1.0, 0.25)
TABLE = "masked,label\n" + "".join(f"[MASK] walks {n} miles,he\n" for n in range(3000))
PARAMETER = "bert.encoder.layer.0.attention.self.query.weight"


@dataclass(frozen=True)
class Workload:
    """prepare: the folder before. work: in a process of its own. problems: what is wrong with the folder, by what was
    said; asked before and after it is tidied."""

    name: str
    prepare: Callable[[Path], None]
    work: Callable[[Path, Say], None]
    problems: Callable[[Path, Sequence[str]], list[str]]


def tried(action: Callable[[], Answer], say: Say) -> Answer:
    """Do it, once more where it is refused; a second refusal ends the workload: a fault that is over does no harm."""
    try:
        return action()
    except GradiendUIError as error:
        say(f"refused {error.code}: {error}")
    return action()


def listed(folder: Path) -> Inventory:
    """The list of what is made in the folder. Raises Failed."""
    return Inventory(Store(folder / "runs.sqlite"), folder)


def noted(folder: Path, action: Callable[[], Answer], say: Say) -> Answer:
    """`tried`, what it writes being noted as the worker does."""

    def work() -> Answer:
        with noting(listed(folder)):
            return action()

    return tried(work, say)


# --- the store --------------------------------------------------------------------------------------------------------


def sweeping(folder: Path, say: Say) -> None:
    """Two runs are made and scored, the first is deleted in between."""
    store = tried(lambda: Store(folder / "runs.sqlite"), say)
    first = _new_run(store, "one", say)
    _score(store, first, "one", range(4), say)
    second = _new_run(store, "two", say)
    _score(store, second, "two", range(2), say)
    say(f"deleting {first}")
    _delete(store, first, say)
    say(f"deleted {first}")
    _score(store, second, "two", range(2, 7), say)
    store.close()


def _new_run(store: Store, fingerprint: str, say: Say) -> str:
    run = tried(lambda: store.create_run("ck", {}, {"fingerprint": fingerprint}, CELLS), say)
    say(f"run {run}")
    return run


def _score(store: Store, run: str, fingerprint: str, places: Iterable[int], say: Say) -> None:
    for place in places:
        score = CellScore((None, *CELLS)[place], "final", {"M": {"F": 0.5}}, {"lms": 0.9}, 3, 3)
        blocks = {block: _numbers(place, block) for block in range(BLOCKS)}
        tried(lambda: store.commit(run, place, score, fingerprint=fingerprint, new_results=blocks), say)  # noqa: B023
        say(f"cell {run} {place}")


def _delete(store: Store, run: str, say: Say) -> None:
    try:
        tried(lambda: store.delete_run(run), say)
    except NotFound:  # it was refused once it was gone
        return


def _numbers(place: int, block: int) -> np.ndarray[Any, Any]:
    return np.full(500, place + block / 10)


def store_problems(folder: Path, said: Sequence[str]) -> list[str]:
    path = folder / "runs.sqlite"
    if not path.exists():
        return ["the store is missing"] if any(line.startswith(("run ", "cell ")) for line in said) else []
    if log_is_cut(path):
        return ["an unfinished transaction is taken for damage"]
    with closing(sqlite3.connect(path)) as connection:
        if (answer := connection.execute("PRAGMA quick_check").fetchone()[0]) != "ok":
            return [f"quick_check: {answer}"]
    store = Store(path)
    try:
        found = _run_problems(store, said)
        run = store.create_run("ck", {}, {"fingerprint": "after"}, CELLS[:1])
        store.commit(run, 0, CellScore(None, "final"), fingerprint="after", new_results={0: np.zeros(3)})
        store.delete_run(run)
        return found
    finally:
        store.close()


def _run_problems(store: Store, said: Sequence[str]) -> list[str]:
    runs = {run.id: run for run in store.runs()}
    gone = {line.split()[1] for line in said if line.startswith("deleted ")}
    going = {line.split()[1] for line in said if line.startswith("deleting ")}
    promised = {line.split()[1] for line in said if line.startswith("run ")}
    problems = [f"run {run} is lost" for run in promised - set(runs) - going]
    problems += [f"run {run} was deleted and is there" for run in gone & set(runs)]
    for run in runs.values():
        problems += _cell_problems(store, run.id, str(run.info["fingerprint"]), run.done, said)
    kept = {str(run.info["fingerprint"]) for run in runs.values()}
    problems += [f"numbers of {name} without a run" for name in {"one", "two"} - kept if store.block_counts(name)]
    return problems


def _cell_problems(store: Store, run: str, fingerprint: str, done: int, said: Sequence[str]) -> list[str]:
    scores = store.cells(run)[1]
    if len(scores) != len(CELLS) + 1:
        return [f"run {run} has {len(scores)} places"]
    problems, final = [], 0
    for place, score in enumerate(scores):
        results = store.results(fingerprint, score.cell)
        whole = len(results) == BLOCKS and all((results[n] == _numbers(place, n)).all() for n in range(BLOCKS))
        is_final = score.status == "final"
        final += is_final and place > 0
        if is_final != whole or (not is_final and results):
            problems.append(f"cell {place} is half: {score.status} with {len(results)} blocks")
        if f"cell {run} {place}" in said and not is_final:
            problems.append(f"cell {place} was said and is lost")
    return problems if final == done else [*problems, f"done is {done}, {final} are final"]


# --- what lies in files -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Materials:
    """A tiny model with a GRADIEND, a run of one cell on it, finished exports and checkpoints to write over, a zip."""

    model: ModelWithGradiend
    resources: Resources
    run: str
    exported: Path
    checkpoints: Mapping[str, Path]
    archive: Path

    def export(self, folder: Path, say: Say) -> None:
        target = folder / "exported" / "she"
        noted(folder, lambda: export_checkpoint(self.model, Rewrite(FIRST, "decoder", {}), target), say)
        say("export she")
        noted(folder, lambda: zip_folder(folder / "exported" / "she", folder / "exported" / "she.zip"), say)
        say("zip she.zip")

    def keep(self, folder: Path, say: Say) -> None:
        tried(lambda: list(self._exports(folder).write(self.run, _cell("kept"), keep=True)), say)
        say("export kept")

    def hand_out(self, folder: Path, say: Say) -> None:
        path = tried(lambda: self._exports(folder).zip_of(self.run, _cell("sent")), say)
        say(f"zip {Path(path).parent.name}/sent.zip")

    def export_again(self, folder: Path, say: Say) -> None:
        rewritten = self.model.rewrite_base_model(SECOND.learning_rate, SECOND.feature_factor, "decoder")
        rewrite, target = Rewrite(SECOND, "decoder", {}), folder / "exported" / "own"
        noted(folder, lambda: save_rewritten(self.model, rewritten, rewrite, target, replace_own=True), say)
        say("export own")
        say("second own")

    def save_again(self, folder: Path, say: Say) -> None:
        noted(folder, lambda: save_small(folder / "exported" / "saved", 2.0, use_safetensors=True), say)
        say("saved safetensors")

    def save_pickled(self, folder: Path, say: Say) -> None:
        noted(folder, lambda: save_small(folder / "exported" / "saved", 2.0, use_safetensors=False), say)
        say("saved pickled")

    def upload(self, folder: Path, say: Say) -> None:
        say(f"table {noted(folder, lambda: keep_upload(folder, TABLE.encode(), '.csv'), say)}")
        source, uploads = folder / "downloads" / "up.zip", folder / "uploads"
        say(f"unpacked {noted(folder, lambda: unpack_archive(source, uploads, allow_pickled=False), say).name}")

    def _exports(self, folder: Path) -> Exports:
        made = listed(folder)
        shared = _Shared(self.resources.store, _Inline(self.resources, made), folder, False)  # type: ignore[arg-type]
        return Exports(shared, lambda run, options: {})

    # --- before and after ---

    def with_export(self, folder: Path) -> None:
        shutil.copytree(self.exported, folder / "exported" / "own")

    def with_checkpoint(self, folder: Path) -> None:
        shutil.copytree(self.checkpoints["first"], folder / "exported" / "saved")
        (folder / "exported" / "saved" / "notes.txt").write_text("mine", encoding="utf-8")

    def with_zip(self, folder: Path) -> None:
        (folder / "downloads").mkdir()
        shutil.copyfile(self.archive, folder / "downloads" / "up.zip")

    def export_problems(self, folder: Path, said: Sequence[str]) -> list[str]:
        """Every folder in exported/ and every zip in exports/ is whole, and what was said is there."""
        finished = [path for path in sorted((folder / "exported").glob("*")) if not path.name.startswith(".")]
        whole = [path for path in finished if path.suffix != ".zip"]
        problems = [f"{path.name}: {wrong}" for path in whole if (wrong := manifest_problem(path))]
        names = {path.name for path in whole}
        problems += [f"{line} is lost" for line in said if line.startswith("export ") and line.split()[1] not in names]
        for path in (*(folder / "exports").glob("*/*.zip"), *(folder / "exported").glob("*.zip")):
            problems += [] if _is_whole_zip(path) else [f"{path.name} is half"]
        return problems

    def replaced_problems(self, folder: Path, said: Sequence[str]) -> list[str]:
        place = folder / "exported" / "own"
        if not place.is_dir():
            return ["the export has lost its name"]
        problems = self.export_problems(folder, said)
        rate = json.loads((place / RECIPE).read_text(encoding="utf-8"))["learning_rate"]
        wanted = {SECOND.learning_rate} if "second own" in said else {FIRST.learning_rate, SECOND.learning_rate}
        return problems if rate in wanted else [*problems, f"the export is the one of {rate}"]

    def saved_problems(self, folder: Path, said: Sequence[str]) -> list[str]:
        place = folder / "exported" / "saved"
        if not place.is_dir():
            return ["the checkpoint has lost its name"]
        found = digests(place)
        if found.pop("notes.txt", None) is None:
            return ["the file beside the checkpoint is lost"]
        which = [name for name, whole in self.checkpoints.items() if digests(whole) == found]
        promised = [line.split()[1] for line in said if line.startswith("saved ")]
        return [] if which and promised in ([], which) else [f"the checkpoint is {which or 'half'}, said {promised}"]

    def upload_problems(self, folder: Path, said: Sequence[str]) -> list[str]:
        promised = {line.split()[1] for line in said if line.startswith(("table ", "unpacked "))}
        finished = [path for path in (folder / "uploads").glob("*") if path.name[0] != "." and path.suffix != ".part"]
        problems = [f"{name} is lost" for name in promised - {path.name for path in finished}]
        for path in finished:
            if path.is_dir() and digests(path) != digests(self.checkpoints["first"]):
                problems.append(f"{path.name} is half unpacked")
            elif (
                path.is_file() and hashlib.sha256(upload_path(folder, path.name).read_bytes()).hexdigest() != path.stem
            ):
                problems.append(f"{path.name} is half")
        return problems


def _is_whole_zip(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None and any(name.endswith(MANIFEST) for name in archive.namelist())
    except zipfile.BadZipFile:
        return False


class _Shared(Shared):
    """Runs are read from the materials' store; what is made is listed in the case's own."""

    @cached_property
    def made(self) -> Inventory:
        return listed(self.data_dir)


@dataclass(frozen=True)
class _Inline:
    """The worker's part of exports, in this process."""

    resources: Resources
    made: Inventory

    def ask(self, request: Export | Pack) -> str:
        with noting(self.made):
            if isinstance(request, Pack):
                return exporting.pack(self.resources, request)
            return exporting.export(self.resources, request)


def _cell(name: str) -> dict[str, Any]:
    return {"feature_factor": FIRST.feature_factor, "learning_rate": FIRST.learning_rate, "name": name}


def digests(folder: Path) -> dict[str, str]:
    """{file: sha256}, hidden ones too; what torch writes differs in nothing but its numbers."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def manifest_problem(folder: Path) -> str:
    """What is wrong with a finished export; "" for nothing."""
    if not (folder / MANIFEST).is_file():
        return "no manifest"
    found = digests(folder)
    found.pop(MANIFEST)
    return "" if found == json.loads((folder / MANIFEST).read_text(encoding="utf-8")) else "not what its manifest says"


def save_small(folder: Path, factor: float, *, use_safetensors: bool, base: str = "tiny") -> None:
    """A GRADIEND for one parameter of the tiny BERT, the same for the same `factor`."""
    generator = torch.Generator().manual_seed(5)
    positions = torch.randperm(1024, generator=generator)[:200].sort().values
    n = positions.numel()
    save_checkpoint(
        folder,
        architecture=Architecture(input_dim=n, latent_dim=1),
        weights={
            ENCODER_WEIGHT: factor * torch.randn(1, n, generator=generator),
            ENCODER_BIAS: torch.zeros(1),
            DECODER_WEIGHT: factor * torch.randn(n, 1, generator=generator),
            DECODER_BIAS: torch.zeros(n),
        },
        shapes={PARAMETER: (32, 32)},
        positions={PARAMETER: positions},
        metadata={"base_model": base, "prediction_objective": "auto"},
        context={
            "source": "alternative",
            "target": "diff",
            "feature_class_encoding_direction": {"M": 1.0, "F": -1.0},
        },
        use_safetensors=use_safetensors,
    )


def build_materials(folder: Path) -> Materials:
    base = save_tiny_bert(folder / "bert", steps=2)
    assert AutoModelForMaskedLM.from_pretrained(base).get_parameter(PARAMETER).shape == (32, 32)
    save_small(folder / "gradiend", 1.0, use_safetensors=True, base=str(base))
    checkpoints = {"first": folder / "first", "safetensors": folder / "second", "pickled": folder / "pickled"}
    for name, place in checkpoints.items():
        save_small(place, 1.0 if name == "first" else 2.0, use_safetensors=name != "pickled")
    resources = Resources(Store(":memory:"), folder, folder)
    loaded = resources.read_checkpoint(str(folder / "gradiend"), {})
    resources.keep_checkpoint("ck", loaded)
    resources.store.save_checkpoint("ck", str(folder / "gradiend"), {}, {"name": "tiny"})
    exported = export_checkpoint(loaded.model, Rewrite(FIRST, "decoder", {}), folder / "own")
    archive = folder / "up.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in sorted(checkpoints["first"].iterdir()):
            packed.write(path, path.name)
    return Materials(loaded.model, resources, _finished_run(resources, loaded.model), exported, checkpoints, archive)


def _finished_run(resources: Resources, model: ModelWithGradiend) -> str:
    imported = {"file": "grid.json", "check": "verified", "lms_known": True, "model": model.fingerprint}
    info = {
        "classes": ["M", "F"], "spec": {"split": "test", "part": "decoder"}, "rows": 3, "neutral_set": "own",
        "fingerprint": "abc", "imported": imported,
    }  # fmt: skip
    scores = [CellScore(cell, "final", {"M": {"F": 0.5}}, {"lms": 0.5}, 3, 3) for cell in (None, FIRST)]
    return resources.store.create_finished_run("ck", {}, info, scores)


def workloads(materials: Materials) -> tuple[Workload, ...]:
    def empty(folder: Path) -> None:
        del folder

    def with_list(prepare: Callable[[Path], None] = empty) -> Callable[[Path], None]:
        def prepared(folder: Path) -> None:
            Store(folder / "runs.sqlite").close()
            prepare(folder)

        return prepared

    made = materials
    return (
        Workload("store", empty, sweeping, store_problems),
        Workload("save over a checkpoint", with_list(made.with_checkpoint), made.save_again, made.saved_problems),
        Workload("save over it, pickled", with_list(made.with_checkpoint), made.save_pickled, made.saved_problems),
        Workload("uploads", with_list(made.with_zip), made.upload, made.upload_problems),
        Workload("export and zip", with_list(), made.export, made.export_problems),
        Workload("export over an own one", with_list(made.with_export), made.export_again, made.replaced_problems),
        Workload("export to a folder", with_list(), made.keep, made.export_problems),
        Workload("export for download", with_list(), made.hand_out, made.export_problems),
    )
