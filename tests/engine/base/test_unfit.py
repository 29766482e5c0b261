"""Bases that load and are none to rewrite: adapters, quantized weights, broken numbers, words beyond the embedding."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForMaskedLM

from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.base.loading import load_base_model
from gradiend_ui.engine.base.rebuilding import build
from gradiend_ui.engine.base.unfit import check_finite_weights
from gradiend_ui.engine.compare.side_by_side import compare
from gradiend_ui.engine.data.rows import EvalData, read_rows
from gradiend_ui.engine.errors import BadBase, BadData, NotAllowed
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.scoring.target_report import report_words
from gradiend_ui.engine.scoring.targets import ClassTargets
from gradiend_ui.engine.sweep.plan import prepare
from gradiend_ui.engine.sweep.spec import SweepSpec
from gradiend_ui.engine.training.losses import prepare_for
from gradiend_ui.engine.uploads.trust import public_trust
from gradiend_ui.engine.values import NATURAL, REFERENCE
from tests.support.cases import case
from tests.support.tiny_gradiends import gradiend_on

WEIGHTS = "model.safetensors"
Copied = Callable[..., Path]


@pytest.fixture
def copied(tiny_bert: Path, tmp_path: Path) -> Copied:
    """copied(quantization_config=...): the tiny BERT with these settings in its config.json."""

    def copy(**fields: Any) -> Path:
        folder = shutil.copytree(tiny_bert, tmp_path / "base")
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | fields))
        return folder

    return copy


def changed(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> Path:
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    (folder / WEIGHTS).unlink()
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    return folder


# --- adapters --------------------------------------------------------------------------------------------------------

ADAPTERS = (
    "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin", "adapter_model-00001-of-00002.safetensors",
    "adapters.safetensors",
)  # fmt: skip


def test_the_adapter_of_the_case_is_told() -> None:
    with pytest.raises(BadBase, match=r"'v_adapter' holds an adapter beside the model \(adapter_config.json\).*merge"):
        load_base_model(str(case("bases/v_adapter")))


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_beside_the_weights_is_not_passed_over(name: str, copied: Copied, tmp_path: Path) -> None:
    folder = copied()
    (folder / name).write_bytes(b"{}")
    with pytest.raises(BadBase, match="holds an adapter beside the model.*merge it into the model"):
        load_base_model(str(folder))
    with pytest.raises(NotAllowed, match="adapter.*merge it first"):
        load_base_model(str(folder), trust=public_trust().within(tmp_path))
    for pickled in (True, False):
        with pytest.raises(NotAllowed, match="adapter.*merge it first"):
            build(folder, tmp_path / f"clean-{pickled}", pickled=pickled)


def test_an_adapter_alone_is_called_one(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(BadBase, match="adapter"):
        load_base_model(str(tmp_path))


def test_an_adapter_of_the_hub_is_told(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = json.loads((tiny_bert / "config.json").read_text())
    monkeypatch.setattr("gradiend_ui.engine.base.loading._fetched_config", lambda *_: config)
    monkeypatch.setattr("gradiend_ui.engine.base.loading.find_adapter_config_file", lambda *_, **__: "adapter")
    with pytest.raises(BadBase, match="'owner/name' holds an adapter"):
        load_base_model("owner/name")


# --- quantized weights -----------------------------------------------------------------------------------------------

METHODS = {
    "gptq": {"quant_method": "gptq", "bits": 4, "group_size": 128},
    "awq": {"quant_method": "awq", "bits": 4},
    "bitsandbytes": {"quant_method": "bitsandbytes", "load_in_8bit": True},
    "fp8": {"quant_method": "fp8", "weight_block_size": [128, 128]},
}


@pytest.mark.parametrize("method", METHODS)
def test_a_quantized_base_is_told_before_anything_is_read(
    method: str, copied: Copied, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("the configuration was read by transformers")

    folder = copied(quantization_config=METHODS[method])
    monkeypatch.setattr("gradiend_ui.engine.base.loading.AutoConfig.from_pretrained", never)
    with pytest.raises(BadBase, match=rf"'base' is quantized \(quantization_config, {method}\).*before it was"):
        load_base_model(str(folder))


def test_no_quantization_is_none(copied: Copied) -> None:
    assert load_base_model(str(copied(quantization_config=None))).kind == "masked"


LAYER = "bert.encoder.layer.0.output.dense"
QUANTIZED: dict[str, Callable[[dict[str, torch.Tensor]], object]] = {
    "eight bits": lambda tensors: tensors.update({f"{LAYER}.weight": tensors[f"{LAYER}.weight"].to(torch.int8)}),
    "four bits in a byte": lambda tensors: tensors.update({f"{LAYER}.weight": torch.zeros(1024, 1, dtype=torch.uint8)}),
    "GPTQ": lambda tensors: tensors.update({f"{LAYER}.qweight": torch.zeros(4, 32, dtype=torch.int32)}),
    "bitsandbytes": lambda tensors: tensors.update({f"{LAYER}.SCB": torch.zeros(32)}),
    "compressed": lambda tensors: tensors.update({f"{LAYER}.weight_packed": torch.zeros(4, 4, dtype=torch.int32)}),
}


@pytest.mark.parametrize("how", QUANTIZED)
def test_quantized_weights_are_known_without_a_word_in_the_configuration(how: str, copied: Copied) -> None:
    with pytest.raises(BadBase, match=rf"is quantized \({LAYER}"):
        load_base_model(str(changed(copied(), QUANTIZED[how])))


def test_a_file_of_settings_of_a_quantizer_is_enough(copied: Copied) -> None:
    folder = copied()
    (folder / "quantize_config.json").write_text("{}")
    with pytest.raises(BadBase, match=r"is quantized \(quantize_config.json\)"):
        load_base_model(str(folder))


def test_whole_numbers_that_are_no_weights_are_read(copied: Copied) -> None:
    """Older files hold the numbers of positions, and masks of ones and zeros."""

    def add(tensors: dict[str, torch.Tensor]) -> None:
        tensors["bert.embeddings.position_ids"] = torch.arange(256)[None]
        tensors["bert.attention.mask"] = torch.ones(4, 4, dtype=torch.uint8)

    assert load_base_model(str(changed(copied(), add))).kind == "masked"


def test_weights_of_eight_bits_without_a_scale_are_only_small(copied: Copied) -> None:
    name = f"{LAYER}.weight"
    folder = changed(copied(), lambda tensors: tensors.update({name: tensors[name].to(torch.float8_e4m3fn)}))
    loaded = load_base_model(str(folder)).model.state_dict()[name]
    assert torch.equal(loaded, load_file(folder / WEIGHTS)[name].float())


# --- numbers that are none -------------------------------------------------------------------------------------------


def test_the_broken_weight_of_the_case_is_told() -> None:
    with pytest.raises(BadBase, match="1 weights of bert.encoder.layer.1.output.dense.weight in .*'v_nanweights'"):
        load_base_model(str(case("bases/v_nanweights")))


def broken(place: int, value: float) -> Callable[[dict[str, torch.Tensor]], object]:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors["bert.embeddings.word_embeddings.weight"].view(-1)[place] = value

    return change


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 77, -1])
def test_a_base_with_a_number_that_is_none_is_not_loaded(value: float, place: int, copied: Copied) -> None:
    folder = changed(copied(), broken(place, value))
    with pytest.raises(BadBase, match="word_embeddings.weight .* no finite numbers") as caught:
        load_base_model(str(folder))
    assert caught.value.text is not None and caught.value.text[0] == "load.base_not_finite"


def test_nor_one_that_is_given_as_a_loaded_model(copied: Copied, tiny_bert: Path, tmp_path: Path) -> None:
    gradiend = gradiend_on(tiny_bert, tmp_path / "gradiend")
    model = AutoModelForMaskedLM.from_pretrained(changed(copied(), broken(5, math.nan)))
    with pytest.raises(BadBase, match="no finite numbers"):
        ModelWithGradiend.from_pretrained(gradiend, model)


def test_large_numbers_are_numbers() -> None:
    """Their sum is none, in the dtype that it is taken in; opposite infinities do not cancel out."""
    model = torch.nn.Linear(4, 4, bias=False)
    torch.nn.init.constant_(model.weight, 3e38)
    check_finite_weights(model, "base")
    with torch.no_grad():
        model.weight[0, 0], model.weight[0, 1] = math.inf, -math.inf
    with pytest.raises(BadBase, match="2 weights of weight"):
        check_finite_weights(model, "base")


# --- words beyond the embedding --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> ModelWithGradiend:
    """The case: a RoBERTa of 588 rows with two added tokens, "xier" and one more, beyond them."""
    folder = tmp_path_factory.mktemp("grown")
    return ModelWithGradiend.from_pretrained(gradiend_on(case("bases/roberta_added"), folder / "gradiend"))


def rows_of_the_case() -> EvalData:
    return read_rows(pd.DataFrame(json.loads(case("added_token_rows.json").read_text())))


BEYOND = "The word 'xier' has the token 588, and the base model 'roberta_added' knows 588 tokens"


@pytest.mark.parametrize("boundary", [REFERENCE, NATURAL])
@pytest.mark.parametrize("targets", [None, "label", {"M": ["he"], "F": ["she", "xier"]}])
def test_a_word_beyond_the_embedding_is_named_before_the_sweep(
    grown: ModelWithGradiend, boundary: str, targets: Any
) -> None:
    spec = SweepSpec(token_boundary=boundary, targets=targets)
    with pytest.raises(BadData, match=BEYOND):
        prepare(grown, spec, rows_of_the_case(), ["the house was old ."])


def test_words_that_the_model_knows_are_scored(grown: ModelWithGradiend) -> None:
    plan = prepare(grown, SweepSpec(targets={"M": ["he"], "F": ["she"]}), rows_of_the_case(), ["the house was old ."])
    results = {block: plan.score_block(grown.base_model, block) for block in range(len(plan.block_sizes))}
    assert plan.summarise(None, results).status == "final"


def test_it_is_marked_among_the_words_and_refused_in_a_comparison(grown: ModelWithGradiend) -> None:
    (word,) = report_words(grown.base, {"F": ["xier"]})["F"]
    assert word.problem is not None and BEYOND in word.problem
    targets = ClassTargets({"M": ("he",), "F": ("xier",)}, ("M", "F"))
    with pytest.raises(BadData, match=BEYOND):
        compare(grown, grown.workspace(), [], ["mary said that [MASK] would be late ."], targets=targets)


def test_a_text_with_such_a_word_is_refused_with_it(grown: ModelWithGradiend) -> None:
    with pytest.raises(BadBase, match="A text holds 'xier', the token 588 of the tokenizer.*knows 588 tokens"):
        prepare(grown, SweepSpec(targets={"M": ["he"], "F": ["she"]}), rows_of_the_case(), ["xier was old ."])


def test_and_nothing_is_trained_with_it(grown: ModelWithGradiend) -> None:
    row = rows_of_the_case().rows[0]
    prepared = prepare_for(grown.base)
    assert prepared(grown.base, row, "he").points
    with pytest.raises(BadData, match=BEYOND):
        prepared(grown.base, row, "xier")


def test_rows_of_the_embedding_beyond_the_tokenizer_are_fine(copied: Copied) -> None:
    folder = copied()
    model = AutoModelForMaskedLM.from_pretrained(folder)
    model.resize_token_embeddings(model.config.vocab_size + 40)
    model.save_pretrained(folder)
    base: BaseModel = load_base_model(str(folder))
    assert not base.knows_too_much and base.encode(["she was kind"])


def test_uploads_are_looked_at_without_pytorch() -> None:
    """The confined process has no memory for it."""
    code = "import sys, gradiend_ui.engine.base.rebuilding; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
