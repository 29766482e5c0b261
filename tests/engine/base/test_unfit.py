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


def small(scale: str) -> Callable[[dict[str, torch.Tensor]], object]:
    """Weights of eight bits with their scale beside them, by a name that some library gives it."""
    weight = f"{LAYER}.weight"
    return lambda held: held.update({weight: held[weight].to(torch.float8_e4m3fn), f"{LAYER}.{scale}": torch.ones(1)})


def instead(**tensors: torch.Tensor) -> Callable[[dict[str, torch.Tensor]], object]:
    """Other tensors in place of the layer's weight."""

    def change(held: dict[str, torch.Tensor]) -> None:
        del held[f"{LAYER}.weight"]
        held.update({f"{LAYER}{name}": tensor for name, tensor in tensors.items()})

    return change


QUANTIZED |= {
    "ones and zeros": lambda held: held.update({f"{LAYER}.weight": held[f"{LAYER}.weight"] > 0}),
    "a bias of whole numbers": lambda held: held.update({f"{LAYER}.bias": held[f"{LAYER}.bias"].to(torch.int32)}),
    "FP8, a scale of the weight": small("weight.scale"),
    "FP8, a scale": small("weight_scale_inv"),
    "FP8, of what goes in": small("input_scale"),
    "FP4": small("weight_scale_2"),
    "MXFP4": instead(_blocks=torch.zeros(4, 4, dtype=torch.uint8), _scales=torch.zeros(4, dtype=torch.uint8)),
    "codes": instead(**{".codes": torch.zeros(4, 4, dtype=torch.int16), ".codebooks": torch.zeros(2, 2)}),
}


@pytest.mark.parametrize("how", QUANTIZED)
def test_quantized_weights_are_known_without_a_word_in_the_configuration(how: str, copied: Copied) -> None:
    with pytest.raises(BadBase, match=rf"is quantized \({LAYER}"):
        load_base_model(str(changed(copied(), QUANTIZED[how])))


def pickled(folder: Path, **options: Any) -> Path:
    """The same weights in PyTorch's own format alone."""
    torch.save(load_file(folder / WEIGHTS), folder / "pytorch_model.bin", **options)
    (folder / WEIGHTS).unlink()
    return folder


@pytest.mark.parametrize("zipped", [True, False], ids=["as today", "as long ago"])
@pytest.mark.parametrize("how", QUANTIZED)
def test_and_in_pytorch_s_own_format(how: str, zipped: bool, copied: Copied) -> None:
    if not zipped and how.startswith("FP"):
        zipped = True  # of long ago there is none of eight bits
    folder = pickled(changed(copied(), QUANTIZED[how]), _use_new_zipfile_serialization=zipped)
    with pytest.raises(BadBase, match=rf"is quantized \({LAYER}"):
        load_base_model(str(folder))


def test_it_is_told_of_them_before_their_numbers_are_read(copied: Copied, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("they are read")

    folder = pickled(changed(copied(), QUANTIZED["eight bits"]))
    monkeypatch.setattr(AutoModelForMaskedLM, "from_pretrained", never)
    with pytest.raises(BadBase, match="is quantized"):
        load_base_model(str(folder))


@pytest.mark.filterwarnings("ignore:.*deprecated.*:UserWarning")
def test_quantized_tensors_of_pytorch_are_told(copied: Copied) -> None:
    folder = copied()
    tensors = load_file(folder / WEIGHTS)
    weight = f"{LAYER}.weight"
    torch.save(
        tensors | {weight: torch.quantize_per_tensor(tensors[weight], 0.01, 0, torch.qint8)},
        folder / "pytorch_model.bin",
    )
    (folder / WEIGHTS).unlink()
    with pytest.raises(BadBase, match="quantized tensors of PyTorch: give the model as it was before"):
        load_base_model(str(folder))


@pytest.mark.parametrize("zipped", [True, False], ids=["as today", "as long ago"])
def test_plain_weights_in_pytorch_s_own_format_are_read(zipped: bool, copied: Copied) -> None:
    folder = copied()
    expected = load_base_model(str(folder)).model.state_dict()
    found = load_base_model(str(pickled(folder, _use_new_zipfile_serialization=zipped))).model.state_dict()
    assert all(torch.equal(tensor, found[name]) for name, tensor in expected.items())


@pytest.mark.parametrize("outer", [(), ("vision_config",)], ids=["in it", "in one in it"])
def test_a_model_inside_a_model_may_be_the_quantized_one(outer: tuple[str, ...], copied: Copied) -> None:
    fields: dict[str, Any] = {"text_config": {"quantization_config": METHODS["gptq"]}}
    for name in outer:
        fields = {name: fields}
    with pytest.raises(BadBase, match=r"is quantized \(quantization_config, gptq\)"):
        load_base_model(str(copied(**fields)))


@pytest.mark.parametrize("file", ["quantize_config.json", "quant_config.json", "hf_quant_config.json"])
def test_a_file_of_settings_of_a_quantizer_is_enough(file: str, copied: Copied) -> None:
    folder = copied()
    (folder / file).write_text("{}")
    with pytest.raises(BadBase, match=rf"is quantized \({file}\)"):
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


# --- what is no whole copy -------------------------------------------------------------------------------------------


ADAPTERS = ("output.dense.lora_A.default.weight", "output.dense.base_layer.weight", "output.adapters.a.down.weight",
            "attention.self.query.ia3_l", "output.dense.lora_magnitude_vector.default.weight")  # fmt: skip


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_among_the_weights_is_not_passed_over(name: str, copied: Copied) -> None:
    folder = changed(copied(), lambda held: held.update({f"bert.encoder.layer.0.{name}": torch.ones(2, 2)}))
    for one in (folder, pickled(folder)):
        with pytest.raises(BadBase, match="hold an adapter that was not merged into the model") as caught:
            load_base_model(str(one))
        assert caught.value.text is not None and caught.value.text[0] == "load.base_adapter_inside"


@pytest.mark.parametrize("name", ["classifier.weight", "cls.seq_relationship.weight", "bert.scales", "vision.adapting"])
def test_weights_of_another_head_are_passed_over_as_before(name: str, copied: Copied) -> None:
    folder = changed(copied(), lambda held: held.update({name: torch.ones(2, 2)}))
    assert load_base_model(str(folder)).kind == "masked"


class Wrapped(torch.nn.Module):
    """A layer as PEFT wraps it."""

    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self.base_layer = layer
        self.lora_A = torch.nn.ModuleDict({"default": torch.nn.Linear(2, 2)})


def test_a_loaded_model_with_an_adapter_or_whole_numbers_is_refused(tiny_bert: Path, tmp_path: Path) -> None:
    gradiend = gradiend_on(tiny_bert, tmp_path / "gradiend")
    model = AutoModelForMaskedLM.from_pretrained(tiny_bert)
    output = model.bert.encoder.layer[0].output
    plain, output.dense = output.dense, Wrapped(output.dense)
    with pytest.raises(BadBase, match=r"hold an adapter that was not merged .*(lora_A|base_layer)"):
        ModelWithGradiend.from_pretrained(gradiend, model)
    output.dense = plain
    plain.weight = torch.nn.Parameter(plain.weight.to(torch.int8), requires_grad=False)
    with pytest.raises(BadBase, match=rf"is quantized \({LAYER}.weight, torch.int8\)"):
        ModelWithGradiend.from_pretrained(gradiend, model)
    plain.weight = torch.nn.Parameter(plain.weight.float())
    model.config.quantization_config = {"quant_method": "awq"}
    with pytest.raises(BadBase, match=r"is quantized \(quantization_config, awq\)"):
        ModelWithGradiend.from_pretrained(gradiend, model)
    del model.config.quantization_config
    assert ModelWithGradiend.from_pretrained(gradiend, model).base_model is model


@pytest.mark.parametrize("prefix", ["module", "_orig_mod", "base_model.model"])
def test_weights_that_a_wrapper_saved_are_told(prefix: str, copied: Copied) -> None:
    folder = copied()
    save_file({f"{prefix}.{name}": one for name, one in load_file(folder / WEIGHTS).items()}, folder / WEIGHTS)
    with pytest.raises(BadBase, match=rf"lack .* They hold '{prefix}\..*': save the model itself"):
        load_base_model(str(folder))


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 440\n"


@pytest.mark.parametrize("file", [WEIGHTS, "pytorch_model.bin", "tokenizer.json", "config.json"])
def test_a_pointer_of_git_lfs_is_told_apart_from_the_file(file: str, copied: Copied) -> None:
    folder = copied()
    (folder / file).write_text(POINTER)
    with pytest.raises(BadBase, match=f"{file} of .* is a pointer of Git LFS.*git lfs pull") as caught:
        load_base_model(str(folder))
    assert caught.value.text is not None and caught.value.text[0] == "load.base_pointer"


def test_a_shard_that_is_not_there_is_named(copied: Copied) -> None:
    folder = copied()
    model = AutoModelForMaskedLM.from_pretrained(folder)
    (folder / WEIGHTS).unlink()
    model.save_pretrained(folder, max_shard_size="60KB")
    missing = sorted(folder.glob("model-*.safetensors"))[1]
    missing.unlink()
    with pytest.raises(BadBase, match=f"names '{missing.name}', which is not there: copy all files"):
        load_base_model(str(folder))
    (folder / f"{WEIGHTS}.index.json").unlink()
    with pytest.raises(BadBase, match=r"nor an index of either\. There is model-00001.*not read as it is"):
        load_base_model(str(folder))


@pytest.mark.parametrize("file", ["model-q4.gguf", "tf_model.h5", "model.fp16.safetensors", "consolidated.safetensors"])
def test_weights_of_another_kind_are_named(file: str, copied: Copied) -> None:
    folder = copied()
    (folder / WEIGHTS).rename(folder / file)
    with pytest.raises(BadBase, match=f"holds neither model.safetensors nor .* There is {file}, which is not read"):
        load_base_model(str(folder))


# --- numbers that are none -------------------------------------------------------------------------------------------


def test_the_broken_weight_of_the_case_is_told() -> None:
    with pytest.raises(BadBase, match=r"layer.1.output.dense.weight in .*'v_nanweights' has weights .*\(1\)"):
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
    with pytest.raises(BadBase, match=r"weight in the base model 'base' has weights .*\(2\)"):
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
