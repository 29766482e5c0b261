"""Base models in common: who shares one, when it is loaded anew, what stays in memory, and what is mapped."""

from __future__ import annotations

import gc
import os
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForMaskedLM

from gradiend_ui.engine.base import loading, shared
from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.base.loading import load_base_model
from gradiend_ui.engine.base.shared import SharedBases, overwritten, stored_at, while_unchanged
from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.sweep.spec import AskedSweep
from gradiend_ui.engine.worker.requests import Load, Reload, StartSweep
from gradiend_ui.engine.worker.resources import Resources
from gradiend_ui.engine.worker.worker import Worker

BuildCheckpoint = Callable[..., Path]
WEIGHTS = "model.safetensors"
MALE = {
    "masked": "[MASK] was here .", "label": "he", "label_class": "M", "alternative": "she", "alternative_class": "F",
    "split": "test",
}  # fmt: skip
ROWS = [MALE, {**MALE, "label": "she", "label_class": "F", "alternative": "he", "alternative_class": "M"}]


@pytest.fixture
def own_bert(tiny_bert: Path, tmp_path: Path) -> Path:
    """A copy of the tiny BERT that a test may change."""
    return shutil.copytree(tiny_bert, tmp_path / "own")


@pytest.fixture
def resources(worker: Worker) -> Resources:
    return worker._resources


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where weights were read from a disk, one entry a time."""
    seen: list[str] = []

    def read(location: str, *rest: Any) -> Any:
        seen.append(location)
        return loading.read_model(location, *rest)

    monkeypatch.setattr(shared, "read_model", read)
    return seen


def load(worker: Worker, source: Path, **options: Any) -> str:
    return str(worker.answer(Load(str(source), options))["checkpoint"])


def weights_of(base: BaseModel) -> torch.Tensor:
    found: torch.Tensor = base.model.get_input_embeddings().weight
    return found


def rewrite_in_place(file: Path) -> None:
    """The same tensors doubled, into the same file: nothing of its length changes."""
    doubled = {name: tensor * 2 for name, tensor in load_file(file).items()}
    save_file(doubled, file.with_name("new"), metadata={"format": "pt"})
    content = file.with_name("new").read_bytes()
    file.with_name("new").unlink()
    before = file.stat()
    with file.open("r+b") as opened:
        opened.write(content)
    assert file.stat().st_size == before.st_size
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))


# --- who shares ------------------------------------------------------------------------------------------------------


def test_gradiends_of_one_base_share_it(
    worker: Worker, reads: list[str], build_checkpoint: BuildCheckpoint, tmp_path: Path, tiny_bert: Path
) -> None:
    first = load(worker, build_checkpoint(tmp_path / "a"))
    second = load(worker, build_checkpoint(tmp_path / "b", "all"))
    given = load(worker, build_checkpoint(tmp_path / "c", base="/no/where"), base_model=str(tiny_bert))
    bases = [worker._resources.checkpoint(handle).model.base for handle in (first, second, given)]
    assert bases[0] is bases[1] is bases[2] and len(reads) == 1
    loaded = worker._resources.checkpoint(first)
    twin = loaded.workspace.rewritten(loaded.model.update_vector("decoder", 1.0), 1.0)
    name = "bert.embeddings.position_embeddings.weight"
    assert dict(twin.named_parameters())[name] is dict(bases[0].model.named_parameters())[name]
    assert bases[0].fingerprint() == load_base_model(str(tiny_bert)).fingerprint(), "rewriting left it alone"


def test_another_prompt_is_another_base_around_the_same_weights(
    worker: Worker, reads: list[str], build_checkpoint: BuildCheckpoint, tmp_path: Path
) -> None:
    plain = load(worker, build_checkpoint(tmp_path / "a"))
    prompted = worker.answer(Reload(plain, {"chat_prompt": True}))["checkpoint"]
    one, other = (worker._resources.checkpoint(handle).model.base for handle in (plain, prompted))
    assert one is not other and one.model is other.model and len(reads) == 1
    assert (one.chat_prompt, other.chat_prompt) == (False, True)
    assert one.fingerprint() != other.fingerprint()


def test_tokenizer_objective_window_and_dtype_tell_bases_apart(
    tiny_gpt2: Path, tiny_llama: Path, tmp_path: Path
) -> None:
    bases, words = SharedBases(), shutil.copytree(tiny_gpt2, tmp_path / "words")
    plain = bases.load(str(tiny_gpt2))
    asked: list[dict[str, Any]] = [
        {"tokenizer": str(words)},
        {"objective": "clm_sequence_cloze"},
        {"objective": "clm_sequence_cloze", "rhs_window": 3},
    ]
    others = [bases.load(str(tiny_gpt2), **options) for options in asked]
    assert len({id(base) for base in (plain, *others)}) == 4
    assert all(base.model is plain.model for base in others)
    assert [base.rhs_window for base in others] == [-1, -1, 3]
    assert others[0].tokenizer is not plain.tokenizer
    assert [bases.load(str(tiny_gpt2), **options) for options in asked] == others
    assert bases.load(str(tiny_gpt2), torch_dtype=torch.bfloat16).model is not plain.model
    assert bases.load(str(tiny_llama)).model is not plain.model
    (words / "tokenizer_config.json").write_text((words / "tokenizer_config.json").read_text() + "\n")
    assert bases.load(str(tiny_gpt2), **asked[0]) is not others[0], "the tokenizer's files count too"


def test_what_is_placed_by_hand_is_not_shared(tiny_bert: Path) -> None:
    bases = SharedBases()
    base = bases.load(str(tiny_bert))
    assert bases.load(str(tiny_bert), device="cpu").model is not base.model
    assert bases.load(str(tiny_bert)) is base


def test_a_hub_id_is_told_by_its_commit(monkeypatch: pytest.MonkeyPatch, tiny_bert: Path) -> None:
    config = AutoConfig.from_pretrained(tiny_bert)
    monkeypatch.setattr(shared.AutoConfig, "from_pretrained", lambda *_, **__: config)
    config._commit_hash = "abc"
    assert stored_at("someone/bert") == ("someone/bert", "abc")
    config._commit_hash = None
    assert stored_at("someone/bert") is None


def test_a_changed_base_under_a_mask_head_counts(own_bert: Path, tmp_path: Path) -> None:
    head = tmp_path / "head"
    head.mkdir()
    (head / "config_mlm_head.json").write_text('{"base_model": "../own"}')
    before = stored_at(str(head))
    assert before == stored_at(str(head)) and before is not None
    (own_bert / "config.json").write_text((own_bert / "config.json").read_text() + " ")
    assert stored_at(str(head)) != before


# --- when it is loaded anew, and what stays --------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", WEIGHTS])
def test_a_changed_file_is_read_again(own_bert: Path, file: str) -> None:
    bases = SharedBases()
    base = bases.load(str(own_bert))
    os.utime(own_bert / file, ns=(1, 1))
    again = bases.load(str(own_bert))
    assert again is not base and again.model is not base.model
    assert bases.load(str(own_bert)) is again


def test_only_bases_in_use_and_the_newest_stay(tiny_bert: Path, tiny_gpt2: Path, tiny_llama: Path) -> None:
    bases = SharedBases()
    used = bases.load(str(tiny_bert))
    dropped, kept = (weakref.ref(bases.load(str(folder)).model) for folder in (tiny_gpt2, tiny_llama))
    gc.collect()
    assert dropped() is None and kept() is not None
    assert bases.load(str(tiny_bert)) is used
    gc.collect()
    assert kept() is None, "the one in use is the newest now"
    assert len(bases._bases) == len(bases._models) == 1


def test_plans_do_not_keep_dropped_checkpoints_alive(
    worker: Worker, resources: Resources, build_checkpoint: BuildCheckpoint, tiny_bert: Path, tmp_path: Path
) -> None:
    handles, models = [], []
    for number in range(5):
        base = shutil.copytree(tiny_bert, tmp_path / f"base{number}")
        handles.append(load(worker, build_checkpoint(tmp_path / f"gradiend{number}", base=str(base))))
        models.append(weakref.ref(resources.checkpoint(handles[-1]).model.base_model))
        worker.answer(StartSweep(handles[-1], AskedSweep.of({"rows": ROWS})))
    gc.collect()
    assert [model() is not None for model in models] == [False, False, True, True, True]
    assert len(resources._plans) == 3


def test_the_weights_are_hashed_once(monkeypatch: pytest.MonkeyPatch, tiny_bert: Path) -> None:
    base = SharedBases().load(str(tiny_bert))
    plain = load_base_model(str(tiny_bert)).fingerprint()
    assert base.fingerprint() == plain, "sharing changes no fingerprint"
    monkeypatch.setattr(BaseModel, "fingerprints", lambda _: pytest.fail("hashed again"))
    assert base.fingerprint() == plain


# --- overwritten files -----------------------------------------------------------------------------------------------


def test_only_writing_into_the_same_file_does_harm(own_bert: Path) -> None:
    base = SharedBases().load(str(own_bert))
    before = weights_of(base).clone()
    shutil.copy(own_bert / WEIGHTS, own_bert / "copy")
    rewrite_in_place(own_bert / "copy")
    os.replace(own_bert / "copy", own_bert / WEIGHTS)
    assert not overwritten(base) and torch.equal(weights_of(base), before), "replaced as a whole"
    (own_bert / WEIGHTS).unlink()
    assert not overwritten(base) and torch.equal(weights_of(base), before), "deleted"


def test_a_sweep_stops_when_its_base_is_overwritten(own_bert: Path) -> None:
    base = SharedBases().load(str(own_bert))
    steps = while_unchanged(base, iter(range(9)))
    assert (next(steps), next(steps)) == (0, 1)
    rewrite_in_place(own_bert / WEIGHTS)
    assert overwritten(base)
    with pytest.raises(BadData, match="'own' were overwritten"):
        next(steps)


def test_an_overwritten_base_is_read_again_and_its_plan_made_again(
    worker: Worker, resources: Resources, build_checkpoint: BuildCheckpoint, own_bert: Path, tmp_path: Path
) -> None:
    handle = load(worker, build_checkpoint(tmp_path / "gradiend", base=str(own_bert)))
    run = worker.answer(StartSweep(handle, AskedSweep.of({"rows": ROWS})))["run"]
    while resources.store.run(run).done == 0 and worker.step():
        pass
    before = resources.checkpoint(handle)
    rewrite_in_place(own_bert / WEIGHTS)
    assert worker.step() and resources.store.run(run).state == "failed"
    assert "overwritten on the disk" in str(resources.store.run(run).error)
    assert resources.checkpoint(handle) is not before
    with pytest.raises(BadData, match="changed since this run began"):
        resources.plan(run)


# --- mapped weights --------------------------------------------------------------------------------------------------


def mapped_from(tensor: torch.Tensor) -> str:
    """The file whose pages the tensor lies in, "" for memory of its own."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        first, *_, last = line.split()
        low, high = (int(number, 16) for number in first.split("-"))
        if low <= tensor.data_ptr() < high:
            return last if last.startswith("/") else ""
    return ""


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux tells what is mapped")
@pytest.mark.parametrize("sharded", [False, True])
def test_float32_weights_are_mapped_and_equal(own_bert: Path, sharded: bool) -> None:
    model = AutoModelForMaskedLM.from_pretrained(own_bert)
    if sharded:
        (own_bert / WEIGHTS).unlink()
        model.save_pretrained(own_bert, max_shard_size="20KB")
        assert len(list(own_bert.glob("model-*.safetensors"))) > 1
    base = SharedBases().load(str(own_bert))
    loaded = dict(base.model.named_parameters())
    assert {name: tensor.dtype for name, tensor in loaded.items()} == dict.fromkeys(loaded, torch.float32)
    stored = {name: tensor for file in own_bert.glob("*.safetensors") for name, tensor in load_file(file).items()}
    for name, parameter in loaded.items():
        assert torch.equal(parameter, stored[name])
        if parameter.ndim > 1:  # transformers copies a bias that is tied
            assert mapped_from(parameter).startswith(str(own_bert)), f"{name} is a copy"
    tied = base.model.cls.predictions.decoder.weight
    assert tied is base.model.bert.embeddings.word_embeddings.weight


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux tells what is mapped")
def test_other_dtypes_are_copies(own_bert: Path) -> None:
    assert mapped_from(weights_of(SharedBases().load(str(own_bert), torch_dtype=torch.bfloat16))) == ""
