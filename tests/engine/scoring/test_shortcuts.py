"""What makes a sweep quick changes no number: packed products, remembered layers, blocks cut smaller, bfloat16."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM

from gradiend_ui.engine.errors import BadGrid, NotFound, TooLarge
from gradiend_ui.engine.files.processes import usable_cores
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.scoring.readout import Batch, Readout
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.sweep.order import WholeGrid
from gradiend_ui.engine.sweep.plan import PreparedSweep
from gradiend_ui.engine.sweep.run import run
from gradiend_ui.engine.sweep.spec import AskedSweep, SweepSpec
from gradiend_ui.engine.values import BatchLimits, Cell, CellScore
from gradiend_ui.engine.weights import workspace as workspaces
from gradiend_ui.engine.weights.lower_layers import lower_layers_of
from gradiend_ui.engine.weights.packed_layers import multiplies_packed, pack_linears, read_by_linears_only
from gradiend_ui.engine.weights.parameter_map import MappedParameter
from gradiend_ui.engine.weights.trial import copy_with
from gradiend_ui.engine.weights.workspace import Workspace
from gradiend_ui.engine.worker import worker as worker_module
from gradiend_ui.engine.worker.handlers import sweeping
from gradiend_ui.engine.worker.requests import FinishCell, Load, StartSweep
from gradiend_ui.engine.worker.worker import Worker
from tests.support.checkpoints import BuildCheckpoint
from tests.support.sweeps import MemoryStore

UPPER = "bert.encoder.layer.1.output.dense.weight"


def batch_of(plan: PreparedSweep) -> Batch:
    return plan.objective.blocks[0].reads[0][0]


def upper_only(model: ModelWithGradiend) -> tuple[list[MappedParameter], torch.Tensor]:
    size = dict(model.base_model.named_parameters())[UPPER].numel()
    return [MappedParameter(UPPER, None, 0, size)], torch.randn(size, generator=torch.Generator().manual_seed(2))


# --- packed products ---------------------------------------------------------------------------------------------


def test_packed_layers_say_the_same_and_keep_no_plain_copy(plan: PreparedSweep) -> None:
    model = plan.model
    update = model.update_vector("decoder", 1.0)
    packed, plain = model.workspace(), Workspace(model.base_model, model.mapped, plain=True)
    for rate in (0.1, 1.0, 0.1):
        one, other = packed.rewritten(update, rate), plain.rewritten(update, rate)
        for block in range(len(plan.block_sizes)):
            torch.testing.assert_close(
                torch.from_numpy(plan.score_block(one, block)), torch.from_numpy(plan.score_block(other, block)),
                rtol=1e-5, atol=1e-6,
            )  # fmt: skip
    whole = {part.name for part in model.mapped}
    alone = read_by_linears_only(model.base_model, whole)
    assert UPPER in alone and "bert.embeddings.word_embeddings.weight" not in alone
    assert dict(packed.twin.named_parameters())[UPPER].isnan().all(), "a placeholder that nobody may read"
    assert len(set(dict(packed.twin.named_parameters())[UPPER].untyped_storage().tolist())) <= 4


def test_a_model_that_reads_a_weight_past_its_layer_is_not_packed(model: ModelWithGradiend) -> None:
    class Reading(nn.Module):
        def __init__(self, inner: nn.Linear) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return nn.functional.linear(values, self.inner.weight, self.inner.bias)

    other = copy_with(model.base_model, {})
    assert multiplies_packed(other)
    dense = other.bert.encoder.layer[0].output
    dense.dense = Reading(dense.dense)
    assert not multiplies_packed(other)
    assert multiplies_packed(model.base_model), "the model itself is as it was"


def test_training_is_not_touched_by_packing(model: ModelWithGradiend) -> None:
    copy = copy_with(model.base_model, {})
    assert pack_linears(copy)
    assert all("forward" not in vars(module) for module in model.base_model.modules())
    assert pack_linears(deepcopy(model.base_model).to(torch.bfloat16)) == {}


# --- what lies below the lowest touched layer --------------------------------------------------------------------


def test_lower_layers_are_computed_once_and_bit_equal(plan: PreparedSweep) -> None:
    mapped, update = upper_only(plan.model)
    workspace, whole = (Workspace(plan.model.base_model, mapped) for _ in range(2))
    whole.twin.lower_layers = None
    twin = workspace.rewritten(update, 0.1)
    assert twin.lower_layers.first == 1
    calls: list[int] = []
    for number, layer in enumerate(twin.bert.encoder.layer):
        layer.attention.register_forward_hook(lambda *_args, n=number: calls.append(n))  # type: ignore[misc]
    for rate in (0.1, 0.3, -0.2):
        one, other = workspace.rewritten(update, rate), whole.rewritten(update, rate)
        for block in range(len(plan.block_sizes)):
            assert (plan.score_block(one, block) == plan.score_block(other, block)).all()
    blocks = len(plan.block_sizes)
    assert calls.count(0) == blocks and calls.count(1) == 3 * blocks


def test_a_model_touched_from_the_bottom_remembers_nothing(plan: PreparedSweep) -> None:
    assert plan.model.workspace().twin.lower_layers is None
    for name, first in ((UPPER, 1), ("bert.encoder.layer.0.output.dense.bias", 0), ("cls.predictions.bias", 1)):
        found = lower_layers_of(plan.model.base_model, {name}, 1 << 20)
        assert (0 if found is None else found.first) == first
    for low in ("bert.embeddings.LayerNorm.bias", "bert.embeddings.position_embeddings.weight"):
        both = [MappedParameter(UPPER, None, 0, 2048), MappedParameter(low, torch.tensor([3]), 2048, 2049)]
        assert Workspace(plan.model.base_model, both).twin.lower_layers is None, "read below all layers"


def test_causal_layers_are_found_too(tiny_llama: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_llama, dtype=torch.float32).eval()
    last = model.config.num_hidden_layers - 1
    found = lower_layers_of(model, {f"model.layers.{last}.mlp.down_proj.weight", "model.norm.weight"}, 1 << 20)
    assert found is not None and found.first == last
    ids = torch.arange(12).view(2, 6)
    batch = Batch(ids, torch.ones_like(ids), torch.tensor([0, 1]), torch.tensor([5, 5]))
    plain = Readout("head").logits(model, batch)
    model.lower_layers = found
    assert all((Readout("head").logits(model, batch) == plain).all() for _ in range(3))


def test_what_is_remembered_is_bounded_and_forgotten_with_its_batch(plan: PreparedSweep) -> None:
    found = lower_layers_of(plan.model.base_model, {UPPER}, 1 << 30)
    assert found is not None
    batch = batch_of(plan).first_rows(2)
    model = copy_with(plan.model.base_model, {})
    found._layers, model.lower_layers = model.bert.encoder.layer, found
    Readout("head").logits(model, batch)
    assert found._used > 0 and len(found._known) == 1
    del batch
    gc.collect()
    assert found._used == 0 and not found._known
    found._most_bytes = 10
    Readout("head").logits(model, batch_of(plan))
    assert not found._known, "no room: computed whole each time"


# --- precision ---------------------------------------------------------------------------------------------------


def in_precision(plan: PreparedSweep, precision: Any, first_look: str | None) -> tuple[list[CellScore], MemoryStore]:
    spec = SweepSpec(**{**_fields(plan.spec), "precision": precision})
    changed = PreparedSweep(**{**vars_of(plan), "spec": spec})
    store = MemoryStore()
    order = WholeGrid(changed, [0] * len(changed.cells), first_look)
    return [step.score for step in run(changed, changed.model.workspace(), store, "r", order=order)], store


def _fields(spec: SweepSpec) -> dict[str, Any]:
    return {name: getattr(spec, name) for name in SweepSpec.__dataclass_fields__}


def vars_of(plan: PreparedSweep) -> dict[str, Any]:
    return {name: getattr(plan, name) for name in PreparedSweep.__dataclass_fields__}


def test_a_bfloat16_sweep_tells_its_precision_and_its_error_and_is_kept_apart(plan: PreparedSweep) -> None:
    scores, store = in_precision(plan, "bfloat16", "bfloat16")
    exact, _ = in_precision(plan, "float32", None)
    finals = {score.cell: score for score in scores if score.is_final}
    assert set(finals) == set(plan.cells) and all(score.precision == "bfloat16" for score in finals.values())
    errors = finals[None].errors
    assert set(errors) == {"M|M", "M|F", "F|M", "F|F", "lms"} and 0 < max(errors.values()) < 0.05
    base = next(score for score in exact if score.cell is None and score.is_final)
    told = abs(finals[None].probs_by_dataset["M"]["F"] - base.probs_by_dataset["M"]["F"])
    assert errors["M|F"] == pytest.approx(told, abs=1e-12)
    kept = {precision: store.block_counts(plan.fingerprint_in(precision)) for precision in ("float32", "bfloat16")}
    assert len(kept["bfloat16"]) == len(plan.cells) and set(kept["float32"]) == {"base"}


def test_a_first_look_in_bfloat16_leaves_the_final_numbers_alone(plan: PreparedSweep) -> None:
    looked, _ = in_precision(plan, "float32", "bfloat16")
    plain, _ = in_precision(plan, "float32", None)
    finals = [{s.cell: s for s in found if s.is_final and s.cell is not None} for found in (looked, plain)]
    assert finals[0] == finals[1] and all(score.precision == "float32" for score in finals[0].values())
    assert {score.precision for score in looked if score.status == "provisional"} == {"bfloat16", "float32"}
    base = [score for score in looked if score.cell is None and score.is_final]
    assert base[-1].errors and 0 < max(base[-1].errors.values()) < 0.1


def test_a_rounded_copy_leaves_the_loaded_model_alone(plan: PreparedSweep) -> None:
    before = {name: tensor.clone() for name, tensor in plan.model.base_model.state_dict().items()}
    low = plan.model.workspace().in_precision("bfloat16")
    assert {p.dtype for p in low.base_model.parameters()} == {torch.bfloat16}
    written = dict(low.rewritten(plan.model.update_vector("decoder", 1.0), 0.5).named_parameters())[UPPER]
    direct = dict(plan.model.rewrite_base_model(0.5, 1.0).named_parameters())[UPPER]
    assert (written == direct.bfloat16()).all(), "rounded once, from the float32 value"
    assert all((before[name] == tensor).all() for name, tensor in plan.model.base_model.state_dict().items())


# --- cores and memory --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "most"),
    [
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({"cpu.max": "nonsense"}, None),
        ({}, None),
    ],
)
def test_cores_are_those_that_are_granted(files: dict[str, str], most: int | None, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    own = usable_cores(tmp_path / "none")
    assert usable_cores(tmp_path) == (own if most is None else min(own, most)) >= 1


@pytest.fixture()
def worker(tmp_path: Path) -> Iterator[Worker]:
    store = Store(tmp_path / "runs.sqlite")
    yield Worker(store, tmp_path / "data", tmp_path / "none")
    store.close()


@pytest.fixture()
def folder(build_checkpoint: BuildCheckpoint, rows: pd.DataFrame, neutral_texts: list[str], tmp_path: Path) -> Path:
    found = build_checkpoint(tmp_path / "gradiend")
    rows.to_csv(found / "eval.csv", index=False)
    pd.DataFrame({"text": neutral_texts}).to_csv(found / "neutral.csv", index=False)
    return found


SPEC = {"learning_rates": [0.01, 0.1, 1.0, 10.0, 100.0], "feature_factors": [-1.0, 1.0]}


def started(worker: Worker, folder: Path, **spec: Any) -> str:
    handle = worker.answer(Load(str(folder), {}))["checkpoint"]
    return str(worker.answer(StartSweep(handle, AskedSweep.of({**SPEC, **spec})))["run"])


def to_the_end(worker: Worker) -> None:
    while worker.step():
        pass


def test_out_of_memory_plans_anew_with_smaller_blocks_and_says_so(
    worker: Worker, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = started(worker, folder)
    plain = PreparedSweep.score_block

    def fussy(plan: PreparedSweep, weights: Any, block: int) -> Any:
        if plan.block_sizes[block] > 10:
            raise torch.OutOfMemoryError("too much")
        return plain(plan, weights, block)

    monkeypatch.setattr(PreparedSweep, "score_block", fussy)
    to_the_end(worker)
    record = worker._store.run(run_id)
    assert record.state == "finished" and record.info["batches"]["rows"] == 8
    assert [text for text in record.info["warnings"] if "8 rows at a time" in text]
    assert not [text for text in record.info["warnings"] if "16 rows at a time" in text], "only what holds is said"
    scores = worker._store.cells(run_id)[1]
    assert all(score.is_final for score in scores)
    monkeypatch.undo()
    other = started(worker, folder, again=True)
    to_the_end(worker)
    for one, two in zip(scores, worker._store.cells(other)[1], strict=True):
        assert one.lms_value == two.lms_value
        for dataset, row in one.probs_by_dataset.items():
            assert row == pytest.approx(two.probs_by_dataset[dataset], abs=1e-5)
    worker._store.delete_run(run_id)
    worker._store.delete_run(other)
    assert worker._store._one("SELECT COUNT(*) FROM results", ())[0] == 0, "nothing of the given-up plans stays"


def test_no_memory_for_a_single_row_fails_with_a_sentence(
    worker: Worker, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = started(worker, folder)
    monkeypatch.setattr(PreparedSweep, "score_block", lambda *_args: bytearray(1 << 62))
    to_the_end(worker)
    record = worker._store.run(run_id)
    assert record.state == "failed" and "does not hold a single row" in (record.error or "")


@pytest.mark.parametrize("error", [MemoryError("no"), torch.OutOfMemoryError("no"), NotFound("It is gone.")])
def test_planning_that_fails_as_well_ends_the_run_and_not_the_worker(
    worker: Worker, folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*_args: Any) -> Any:
        raise error

    run_id = started(worker, folder)
    monkeypatch.setattr(PreparedSweep, "score_block", lambda *_args: bytearray(1 << 62))
    monkeypatch.setattr(worker_module, "plan_smaller", refuse)
    to_the_end(worker)
    record = worker._store.run(run_id)
    assert record.state == "failed" and record.error
    assert ("It is gone." in record.error) == isinstance(error, NotFound)


def test_little_memory_means_small_blocks_and_none_a_refusal(
    worker: Worker, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = worker.answer(Load(str(folder), {}))["checkpoint"]
    loaded = worker._resources.checkpoint(handle)
    needed = sweeping.sizes_of(loaded.model, BatchLimits()).beyond_loaded
    monkeypatch.setattr(sweeping, "free_bytes", lambda _device: needed)
    assert sweeping.limits_for(loaded, SweepSpec()) == BatchLimits()
    monkeypatch.setattr(sweeping, "free_bytes", lambda _device: needed - 1)
    assert sweeping.limits_for(loaded, SweepSpec()).rows == 16
    monkeypatch.setattr(sweeping, "free_bytes", lambda _device: 1000)
    with pytest.raises(TooLarge, match="GB of memory beside the loaded model"):
        worker.answer(StartSweep(handle, AskedSweep.of(SPEC)))


# --- a search for the winner, and a skipped cell that is asked for ------------------------------------------------


def test_skipped_cells_are_scored_when_they_are_asked_for(worker: Worker, folder: Path) -> None:
    run_id = started(worker, folder, winner_only=True)
    to_the_end(worker)
    scores = worker._store.cells(run_id)[1]
    skipped = [score for score in scores if score.status == "skipped"]
    assert skipped and worker._store.run(run_id).state == "finished"
    cell = skipped[0].cell
    assert cell is not None
    asked = {"feature_factor": cell.feature_factor, "learning_rate": cell.learning_rate}
    assert worker.answer(FinishCell(run_id, Cell.of(asked)))["state"] == "queued"
    to_the_end(worker)
    after = {score.cell: score for score in worker._store.cells(run_id)[1]}
    assert after[cell].is_final and sum(s.status == "skipped" for s in after.values()) == len(skipped) - 1
    with pytest.raises(NotFound, match="no cell of this sweep"):
        worker.answer(FinishCell(run_id, Cell.of({"feature_factor": 7, "learning_rate": 7})))
    whole = started(worker, folder)
    to_the_end(worker)
    assert {s.cell: s for s in worker._store.cells(whole)[1]}[cell] == after[cell], "the numbers are shared"
    with pytest.raises(BadGrid, match="scores every cell by itself"):
        worker.answer(FinishCell(whole, Cell.of(asked)))


def test_packing_needs_memory(plan: PreparedSweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspaces, "available_bytes", lambda: 1000)
    made = plan.model.workspace()
    assert not made._may_pack and made.rewritten(plan.model.update_vector("decoder", 1.0), 0.1) is made.twin
