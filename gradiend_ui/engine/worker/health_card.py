"""The health card: what is told of a loaded checkpoint, what was assumed, and what is missing before a sweep.

What was assumed has a code and a sentence: a page says the code in its own language and offers a correction, scripts
read the sentence. Also what is told of a cell when it is exported. Plain JSON-like values from loaded models and plans;
knows no process and no page.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gradiend_ui.engine.answers.checkpoint import DIRECTION, NEUTRAL, ROWS, Assumed, CheckpointFacts, Seed
from gradiend_ui.engine.answers.remarks import remark
from gradiend_ui.engine.base.chat_prompt import CHAT_WARNING, named_instruct
from gradiend_ui.engine.checkpoint.companions import RECOVERED, Companions, run_folder_of
from gradiend_ui.engine.checkpoint.context import SOURCE_ASSUMED
from gradiend_ui.engine.checkpoint.finished_grid import describe, finished_sweeps
from gradiend_ui.engine.checkpoint.run_folder import read_run_folder
from gradiend_ui.engine.errors import BadData, CannotRun, GradiendUIError, TooLarge
from gradiend_ui.engine.files.machine_memory import Sizes, batch_bytes
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.selection.winner import degenerate
from gradiend_ui.engine.store.run_info import KeptInfo
from gradiend_ui.engine.sweep.plan import class_order, prepare
from gradiend_ui.engine.sweep.spec import SweepSpec
from gradiend_ui.engine.uploads.request_limits import Extent
from gradiend_ui.engine.values import (
    BOTH_SIGNS,
    DEFAULT_LEARNING_RATES,
    DEFAULT_LIMITS,
    DEFAULT_PRECISION,
    DENSE_FEATURE_FACTORS,
    ENOUGH_CLASSES,
    BatchLimits,
    Cell,
    CellScore,
)
from gradiend_ui.engine.weights.workspace import Workspace

RECOVERED_FROM = " recovered from "
GIVEN, BESIDE = "given", "beside"


@dataclass(frozen=True)
class Reading:
    """How a checkpoint was read.

    base: "" where its own config.json says, "given" by hand, "beside" for a folder base/ that lies with the checkpoint
    directions_given: the directions were given by hand. seed: the best seed's number where it was taken for the run.
    """

    base: str = ""
    directions_given: bool = False
    seed: int | None = None


@dataclass(frozen=True)
class Assumption:
    """what: a code; values: what its sentence names."""

    what: str
    sentence: str
    values: Mapping[str, object]

    def to_json(self) -> Assumed:
        return {"what": self.what, "sentence": self.sentence, "values": dict(self.values)}


def assumptions(model: ModelWithGradiend, companions: Companions, reading: Reading) -> list[Assumption]:
    """Everything that no file of the checkpoint states and that changes the numbers or their sign."""
    found = [
        *_of_the_direction(model, reading),
        *_of_the_base(model, reading),
        *_of_the_data(companions),
    ]
    return [Assumption(what, sentence, values) for what, sentence, values in found]


def missing(model: ModelWithGradiend, companions: Companions, order_known: bool) -> list[str]:
    """What a sweep still needs, in the order in which it is asked for. order_known: the rows fit the directions."""
    known = len(model.strengthening_feature_factor) >= ENOUGH_CLASSES
    found = [] if order_known and known else [DIRECTION]
    found += [ROWS] if companions.rows is None else []
    return found + ([] if companions.neutral else [NEUTRAL])


Found = Sequence[tuple[str, str, Mapping[str, object]]]


def _of_the_direction(model: ModelWithGradiend, reading: Reading) -> Found:
    checkpoint = model.checkpoint
    found: list[tuple[str, str, Mapping[str, object]]] = []
    note = checkpoint.direction_note
    if note is not None:
        found.append((note.what, note.sentence, note.values))
    elif reading.directions_given:
        found.append(("direction_given", "The direction of each class was given by hand.", {}))
    if SOURCE_ASSUMED in checkpoint.warnings:
        found.append(("source_assumed", SOURCE_ASSUMED, {"source": model.source}))
    if reading.seed is not None:
        sentence = f"The run holds no model/: its best seed, {reading.seed}, was taken."
        found.append(("seed_chosen", sentence, {"seed": reading.seed}))
    return found


def _of_the_base(model: ModelWithGradiend, reading: Reading) -> Found:
    stated = str(model.checkpoint.metadata.get("base_model") or "")
    values = {"base": model.base.name, "stated": Path(stated.replace("\\", "/")).name}
    named = f", config.json names {values['stated']!r}" if values["stated"] else ""
    found: list[tuple[str, str, Mapping[str, object]]] = []
    if reading.base == GIVEN:
        found.append(("base_given", f"The base model was given by hand: {values['base']!r}{named}.", values))
    elif reading.base == BESIDE:
        sentence = f"The base model is the folder {values['base']!r} beside the checkpoint{named}."
        found.append(("base_beside", sentence, values))
    if model.base.chat_prompt:
        found.append(("chat_prompt", CHAT_WARNING, {}))
    elif named_instruct(stated) or named_instruct(model.base.name):
        found.append(("chat_prompt_off", "The base is tuned on instructions and scored on the bare texts.", {}))
    return found


def _of_the_data(companions: Companions) -> Found:
    found: list[tuple[str, str, Mapping[str, object]]] = []
    if companions.recovered and companions.rows is not None:
        told = next(
            (text for text in companions.warnings if RECOVERED_FROM in text), "Rows were recovered from the run."
        )
        found.append(("rows_recovered", told, {"count": len(companions.rows.rows)}))
    if not companions.neutral:
        found.append(("neutral_rows", remark("no_neutral"), {}))
    elif companions.neutral_set == RECOVERED:
        count = len(companions.neutral[RECOVERED])
        sentence = f"{count} neutral texts were recovered from the run; spaces and case may not be the original's."
        found.append(("neutral_recovered", sentence, {"count": count}))
    return found


NO_ROWS = remark("no_rows")
WORD_BEYOND = "data.word_beyond"
"""The refusal of a word that the base has no row for: the rows look scorable, and nothing else on the card tells it."""
ROUNDED_BYTES = 2


@dataclass(frozen=True)
class Loaded:
    """A checkpoint in memory with its scratch weights and the data beside it."""

    model: ModelWithGradiend
    workspace: Workspace
    companions: Companions


def card_of(loaded: Loaded, name: str, reading: Reading, free_bytes: int | None) -> CheckpointFacts:
    """What a page and the API's /load tell of a loaded checkpoint.

    reading: how it was read, for what is told as assumed. free_bytes: memory there was before it was read.
    """
    model, companions = loaded.model, loaded.companions
    checkpoint = model.checkpoint
    sweeps, unread = finished_sweeps(checkpoint.folder)
    warnings = [*checkpoint.warnings, *companions.warnings, *unread]
    classes, of_classes = _classes_of(loaded)
    warnings += of_classes
    named = () if checkpoint.direction_note is None else checkpoint.direction_note.classes
    names = (list(model.strengthening_feature_factor) if classes is None else classes) or list(named)
    factors = {c: f for c, f in model.strengthening_feature_factor.items() if c in names}
    default = sorted(set(factors.values())) if len(factors) > 1 else list(BOTH_SIGNS)
    return {
        "name": name,
        "base_model": model.base.name,
        "objective": model.base.objective,
        "classes": names,
        "encoding_direction": model.encoding_direction,
        "strengthening_feature_factor": factors,
        "source": model.source,
        "latent_dim": checkpoint.architecture.latent_dim,
        "mapped_weights": checkpoint.mapped_weights,
        "base_weights": model.base.parameters,
        "correlation": checkpoint.correlation,
        "converged": checkpoint.converged,
        "seeds": _seeds(checkpoint.folder),
        "memory": {"needed": sizes_of(model).needed, "free": free_bytes},
        "assumed": [assumption.to_json() for assumption in assumptions(model, companions, reading)],
        "missing": missing(model, companions, order_known=classes is not None),
        "rows": {} if companions.rows is None else companions.rows.counts(),
        "rows_recovered": len(companions.rows.rows) if companions.recovered and companions.rows is not None else None,
        "row_classes": [] if companions.rows is None else list(companions.rows.classes),
        "neutral_sets": {set_name: len(texts) for set_name, texts in companions.neutral.items()},
        "finished_sweeps": [describe(sweep) for sweep in sweeps],
        "warnings": warnings,
        "presets": {
            "default": {"feature_factors": default, "learning_rates": list(DEFAULT_LEARNING_RATES)},
            "dense": {
                "feature_factors": list(DENSE_FEATURE_FACTORS),
                "learning_rates": list(DEFAULT_LEARNING_RATES),
            },
        },
        "examples": list(companions.examples),
        "two_boundaries": model.base.two_boundaries,
        "neutral_set": companions.neutral_set,
    }


def _classes_of(loaded: Loaded) -> tuple[list[str] | None, list[str]]:
    """(the classes in order, None where the rows do not fit the directions; what to warn of)."""
    model, rows = loaded.model, loaded.companions.rows
    classes: list[str] | None = list(model.strengthening_feature_factor)
    warnings = [] if rows is not None else [NO_ROWS]
    if rows is not None:
        try:
            classes = list(class_order(model, rows))
        except BadData as error:
            classes = None
            warnings.append(str(error))
        if rows.rejected:
            first = rows.rejected[0]
            count, row = len(rows.rejected), first.number + 1
            warnings.append(remark("rows_rejected", count=count, row=row, reason=first.reason))
    return classes, warnings


def notes_of(card: CheckpointFacts) -> list[str]:
    """The warnings of a card that neither its assumptions nor its missing pieces tell already."""
    told = {NO_ROWS, *(item["sentence"] for item in card["assumed"])}
    return [text for text in dict.fromkeys(card["warnings"]) if text not in told]


def sizes_of(
    model: ModelWithGradiend, limits: BatchLimits = DEFAULT_LIMITS, precision: str = DEFAULT_PRECISION
) -> Sizes:
    """What a sweep of this model keeps in memory, in bytes; one block of rows is estimated generously."""
    parameters = dict(model.base_model.named_parameters())
    embedding = model.base_model.get_input_embeddings().weight
    vocabulary, hidden = embedding.shape
    item = embedding.element_size()
    tensors = [*model.gradiend.weights.values(), *model.positions.values()]
    return Sizes(
        base=sum(parameter.nbytes for parameter in parameters.values()),
        gradiend=sum(tensor.nbytes for tensor in tensors),
        touched=sum(parameters[part.name].nbytes for part in model.mapped),
        mapped=sum((part.stop - part.start) * item for part in model.mapped if part.positions is not None),
        update=len(model) * item,
        batch=batch_bytes(limits.tokens, hidden, vocabulary, limits.points, item),
        rounded=0 if precision == DEFAULT_PRECISION else sum(p.numel() for p in parameters.values()) * ROUNDED_BYTES,
    )


def _seeds(checkpoint_folder: Path) -> list[Seed]:
    """The seeds of the run that the checkpoint belongs to; kept: its folder can be opened; open: it is this one.

    [] for a checkpoint of no run.
    """
    run = run_folder_of(checkpoint_folder)
    return [
        {
            "seed": seed.seed,
            "correlation": seed.correlation,
            "converged": seed.converged,
            "best": seed.best,
            "kept": seed.folder is not None,
            "open": seed.folder == checkpoint_folder,
        }
        for seed in (() if run is None else read_run_folder(run).seeds)
    ]


def probe(loaded: Loaded, most: Extent | None = None) -> tuple[float | None, tuple[str, ...]]:
    """Seconds that one cell takes by the timing of one block, and what a default sweep would warn of.

    most: of rows and of texts that are planned for it, a part that is spread evenly; None plans all.
    (None, ()) where a default sweep cannot be planned: the card says why already. Raises CannotRun for a base model
    that reads no text.
    """
    companions = loaded.companions
    if companions.rows is None:
        return None, ()
    try:
        spec = SweepSpec(feature_factors=(1.0,))
        neutral = companions.neutral.get(companions.neutral_set or "")
        rows, all_rows = companions.rows, len(companions.rows.rows)
        all_texts = all_rows if neutral is None else len(neutral)
        if most is not None:
            chosen = rows.chosen(spec.split, class_order(loaded.model, rows))
            rows = replace(rows, rows=most.part_of(chosen, lambda row: len(row.masked)))
            neutral = None if neutral is None else most.part_of(neutral, len)
            all_rows, all_texts = len(chosen), len(chosen) if neutral is None else all_texts
        plan = prepare(loaded.model, spec, rows, neutral)
    except CannotRun:
        raise
    except TooLarge as error:
        return None, (str(error),)
    except GradiendUIError as error:
        return None, (str(error),) if error.text is not None and error.text[0] == WORD_BEYOND else ()
    base = loaded.workspace.base_model
    plan.score_block(base, 0)  # warm-up
    started = time.monotonic()
    plan.score_block(base, 0)
    total = sum(plan.block_sizes) if most is None else all_rows + all_texts
    return (time.monotonic() - started) / plan.block_sizes[0] * total, plan.warnings


def export_facts(info: KeptInfo, scores: Sequence[CellScore], cell: Cell | None) -> dict[str, Any]:
    """Data and scores for the card of an export; scores only when the cell is finished in this run.

    A run opened from a file names it; where the file is known to be of other weights, it lends no scores.
    """
    imported = info.get("imported")
    if imported and imported["check"] == "differs":
        cell = None
    base, found = scores[0], next((s for s in scores[1:] if s.cell == cell and s.is_final), None)
    table: list[list[Any]] = []
    if found is not None and base.is_final:
        for dataset, row in sorted(base.probs_by_dataset.items()):
            for name, before in sorted(row.items()):
                table.append([f"P({name}) on {dataset} rows", before, found.probs_by_dataset[dataset][name]])
        table.append(["LMS", base.lms["lms"], found.lms["lms"]])
    rows = f"{info['rows']} rows" if info["rows"] else "rows"
    origin = f", scores from {imported['file']} ({imported['check']})" if imported else ""
    unknown = imported is not None and not imported["lms_known"]
    facts = {} if found is None or found.precision == DEFAULT_PRECISION else {"precision": _precision(base)}
    return {
        **facts,
        "data": f"{rows} of split {info['spec']['split']}{origin}",
        "neutral_set": info["neutral_set"] or ("not known" if unknown else "none (evaluation rows)"),
        "scores": table,
        "degenerate": None if found is None else degenerate(found, base),
        "data_fingerprint": info["fingerprint"],
        **({"made_by": info["made_by"]} if table and info.get("made_by") else {}),
    }


def _precision(base: CellScore) -> str:
    """The precision of rounded scores, and how far it moves the base model's."""
    off = base.rounding or {"probability": None, "lms": None}
    told = [(off["probability"], "in a probability"), (off["lms"], "in the LMS")]
    parts = [f"{error:.2g} {what}" for error, what in told if error is not None]
    return f"{base.precision}: on the base model at most {', '.join(parts)} off float32" if parts else base.precision
