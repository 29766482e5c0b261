"""Requests about checkpoints: load one, read it again in another way, open a finished sweep."""

from __future__ import annotations

import difflib
import hashlib
import json
from pathlib import Path
from typing import Any

from gradiend_ui.engine.answers.checkpoint import StoredCard
from gradiend_ui.engine.answers.remarks import remark
from gradiend_ui.engine.answers.run import OpenedSweep
from gradiend_ui.engine.base.finding import base_beside
from gradiend_ui.engine.base.uploaded import notes_on
from gradiend_ui.engine.checkpoint.companions import run_folder_of
from gradiend_ui.engine.checkpoint.demos import DEMOS
from gradiend_ui.engine.checkpoint.finished_grid import finished_sweeps, shown_scores, sweep_named
from gradiend_ui.engine.checkpoint.loaded import twin_warning
from gradiend_ui.engine.checkpoint.reading import find_checkpoint_folder, read_checkpoint
from gradiend_ui.engine.checkpoint.run_folder import read_run_folder
from gradiend_ui.engine.errors import BadBase, BadCheckpoint, BadGrid, GradiendUIError, NotAllowed, NotFound, error_from
from gradiend_ui.engine.errors import shown as told
from gradiend_ui.engine.files.file_names import followed, is_from_a_root
from gradiend_ui.engine.files.machine_memory import available_bytes
from gradiend_ui.engine.files.model_files import UPLOADS
from gradiend_ui.engine.selection.winner import strengthening_feature_factors
from gradiend_ui.engine.sweep.finished_check import check, opened_info
from gradiend_ui.engine.uploads.request_limits import PLANNED
from gradiend_ui.engine.worker.handlers.data import data_facts
from gradiend_ui.engine.worker.health_card import BESIDE, GIVEN, Loaded, Reading, card_of, notes_of, probe
from gradiend_ui.engine.worker.requests import Load, OpenFinished, Reload
from gradiend_ui.engine.worker.resources import Resources, checked_direction

DIRECTION, BASE, SEED = "encoding_direction", "base_model", "seed"
TOWARDS, SWAP, AS_FILES_SAY = "towards", "swap", "as_files_say"
CHANGES = (TOWARDS, SWAP, AS_FILES_SAY, BASE, "chat_prompt", SEED)
ZIP = ".zip"


def load(resources: Resources, request: Load) -> StoredCard:
    """Raises BadCheckpoint, BadBase, BadGrid, NotFound."""
    source = request.source
    name = request.name or (source if source in DEMOS else Path(source).name)
    try:
        with resources.bounded(source):
            card = _load(resources, source, dict(request.options), name, request.shown or name)
        if request.kept is not None:
            resources.store.drop_checkpoints(request.kept)
        return card
    except GradiendUIError as error:
        if Path(source).parent.name != UPLOADS:
            raise
        raise _by_name(error, Path(source).name, name) from error


def _by_name(error: GradiendUIError, folder: str, name: str) -> GradiendUIError:
    """The same refusal, in which an upload's folder is called by the name of its zip."""
    text = error.text
    if text is not None:
        values = {
            key: value.replace(folder, name) if isinstance(value, str) else value for key, value in text[1].items()
        }
        text = text[0], values
    return error_from(error.code, str(error).replace(folder, name), text)


def reload(resources: Resources, request: Reload) -> StoredCard:
    """Raises as `load` does."""
    source, options, card = resources.store.checkpoint(request.checkpoint)
    changes = dict(request.changes)
    unknown = sorted(set(changes) - set(CHANGES))
    if unknown:
        raise BadGrid(
            f"There is no change {told(unknown[0])}; a checkpoint can be read again with {', '.join(CHANGES)}."
        )
    if changes.pop(SWAP, False):
        options[DIRECTION] = {name: -sign + 0.0 for name, sign in card["encoding_direction"].items()}
    if TOWARDS in changes:
        options[DIRECTION] = strengthening_feature_factors(checked_direction(changes.pop(TOWARDS)), card["source"])
    if changes.pop(AS_FILES_SAY, False):
        options.pop(DIRECTION, None)
    name = card["name"]
    shown = None if SEED in changes else name
    return load(resources, Load(source, options | changes, card.get("run", name), shown, request.kept))


def open_finished(resources: Resources, request: OpenFinished) -> OpenedSweep:
    """Raises NotFound where there is no such finished sweep."""
    loaded = resources.checkpoint(request.checkpoint)
    with resources.bounded(resources.store.checkpoint(request.checkpoint)[0]):
        sweeps, _ = finished_sweeps(loaded.model.checkpoint.folder)
    sweep = sweep_named(sweeps, request.file)
    checked = check(sweep, loaded.model, loaded.workspace, loaded.companions)
    info, scores = opened_info(sweep, loaded.model, checked), shown_scores(sweep.cache)
    run_id = resources.store.create_finished_run(request.checkpoint, {}, info, scores)
    imported = info["imported"]
    return {"run": run_id, "cells": len(scores) - 1, "check": imported["check"], "note": imported["note"]}


def _load(resources: Resources, source: str, options: dict[str, Any], name: str, shown: str) -> StoredCard:
    if source not in DEMOS and resources.trust.public and not Path(source).is_dir():
        raise NotFound("This upload is not on the server any more: upload it again.").known_as("load.upload_gone")
    if source not in DEMOS:
        _check_folder(Path(source))
    if str(options.get(BASE, "")).startswith("~"):
        try:
            options[BASE] = str(Path(options[BASE]).expanduser())
        except RuntimeError:
            raise BadBase(f"{options[BASE][:80]!r} begins with the home of nobody here: give its whole path.") from None
    if SEED in options and source in DEMOS:
        raise NotFound("The demos have one seed each.")
    if SEED in options:
        seed = options.pop(SEED)
        source, shown = str(_seed_folder(Path(source), seed)), f"{name}, seed {seed}"
    uploaded = Path(source).is_relative_to(resources.data_dir / UPLOADS)  # the same zip may have another name elsewhere
    asked = [source, options, name] if uploaded else [source, options]
    owned = resources.trust.public and not uploaded and source not in DEMOS
    key = resources.secret if owned else b""  # who guesses the path of the owner's model cannot see it in the handle
    handle = "ck_" + hashlib.sha256(key + json.dumps(asked, sort_keys=True).encode()).hexdigest()[:20]
    known = resources.known_card(handle, source)
    if known is not None:
        return known
    free = available_bytes()
    loaded, options, reading = _read(resources, source, options)
    resources.keep_checkpoint(handle, loaded)
    facts = card_of(loaded, shown, reading, free)
    seconds, warnings = probe(loaded, PLANNED if resources.is_strangers(source) else None)
    left_out = notes_on(loaded.model.checkpoint.folder, resources.data_dir / UPLOADS)
    aside = resources.left_aside(source, loaded.model.checkpoint) if reading.base != GIVEN else ()
    said = (*facts["warnings"], *left_out, *aside, *warnings, *_twins(resources, loaded))
    facts["warnings"] = [resources.trust.told(sentence) for sentence in dict.fromkeys(said)]  # a plan says some again
    card: StoredCard = {
        "checkpoint": handle,
        "run": name,
        **facts,
        **data_facts(loaded),
        "seconds_per_cell": seconds,
        "notes": notes_of(facts),
    }
    resources.store.save_checkpoint(handle, source, options, card)
    return card


def _twins(resources: Resources, loaded: Loaded) -> list[str]:
    """What is told of weights that lie twice in the folder of the GRADIEND, or of its base model."""
    base = Path(loaded.model.base_model.name_or_path)
    places = [(loaded.model.checkpoint.folder, remark("gradiend_folder"))]
    places += [(base, remark("base_folder"))] if base.is_dir() else []
    found = [twin_warning(folder, what, public=resources.trust.public) for folder, what in places]
    return [sentence for sentence in found if sentence is not None]


def _read(resources: Resources, source: str, options: dict[str, Any]) -> tuple[Loaded, dict[str, Any], Reading]:
    """The checkpoint, the options that read it again, and how it was read.

    Where the base that config.json names cannot be loaded, a folder base/ beside the checkpoint is taken.
    """
    base = GIVEN if options.get(BASE) else ""
    try:
        loaded = resources.read_checkpoint(source, options)
    except (BadBase, NotAllowed) as error:
        place = None if base or source in DEMOS else base_beside(find_checkpoint_folder(Path(source)))
        if place is None or not _needs_another(Path(source), place, error):
            raise
        options, base = {**options, BASE: str(place)}, BESIDE
        loaded = resources.read_checkpoint(source, options)
    return loaded, options, Reading(base, bool(options.get(DIRECTION)), _seed_taken(source, loaded))


def _needs_another(source: Path, place: Path, error: GradiendUIError) -> bool:
    """Whether the base that the checkpoint names cannot be had, and not something else is wrong: its tokenizer, say."""
    checkpoint = read_checkpoint(source)
    stated = str(checkpoint.metadata.get("base_model", ""))
    if isinstance(error, NotAllowed):
        return is_from_a_root(stated)  # a path of the machine that trained it
    return not stated or followed(checkpoint.folder / stated) != place


def _seed_taken(source: str, loaded: Loaded) -> int | None:
    """The number of the seed that stands for the run at `source`; None where the source is a checkpoint itself."""
    folder = loaded.model.checkpoint.folder
    if source in DEMOS or followed(folder) == followed(Path(source).expanduser()) or folder.name == "model":
        return None
    return next((seed.seed for seed in read_run_folder(Path(source).expanduser()).seeds if seed.folder == folder), None)


def _seed_folder(source: Path, seed: object) -> Path:
    """The checkpoint of another seed of the run that `source` belongs to. Raises BadGrid, NotFound, BadCheckpoint."""
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise BadGrid(f"seed must be a whole number, not {told(seed)}.")
    run = source if read_run_folder(source).seeds else run_folder_of(find_checkpoint_folder(source))
    seeds = () if run is None else read_run_folder(run).seeds
    kept = {item.seed: item.folder for item in seeds if item.folder is not None}
    if seed not in kept:
        known = ", ".join(map(str, kept)) or "none"
        raise NotFound(f"There is no seed {told(seed)} with weights in this run; seeds with weights: {known}.")
    return kept[seed]


def _check_folder(path: Path) -> None:
    """Raises BadCheckpoint for a file, and for a folder that is not there with the nearest one that is."""
    if path.is_dir():
        return
    if path.is_file():
        hint = "upload it as a zip" if path.suffix.lower() == ZIP else f"give its folder, {str(path.parent)!r}"
        raise BadCheckpoint(f"{path.name} is a file; a GRADIEND is a folder: {hint}.")
    there = next(parent for parent in path.parents if parent.is_dir())
    missing = path.relative_to(there).parts[0]
    names = [item.name for item in there.iterdir() if item.is_dir()] if len(there.parts) > 1 else []
    near = difflib.get_close_matches(missing, names, n=1)
    hint = f"did you mean {str(there / near[0])!r}?" if near else f"{str(there)!r} holds no {missing!r}."
    raise BadCheckpoint(f"There is no folder {str(path)!r}: {hint} Give the folder with the GRADIEND's config.json.")
