"""Which objective a base gets, how it is loaded and placed, chat prompts, mask heads, and what is refused."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from gradiend_ui.engine.base.base_model import base_around
from gradiend_ui.engine.base.chat_prompt import CHAT_WARNING, in_chat_prompt
from gradiend_ui.engine.base.loading import load_base_model, load_tokenizer
from gradiend_ui.engine.checkpoint.config import (
    DECODER_BIAS,
    DECODER_WEIGHT,
    ENCODER_BIAS,
    ENCODER_WEIGHT,
    Architecture,
    MapEntry,
)
from gradiend_ui.engine.checkpoint.writing import save_checkpoint
from gradiend_ui.engine.compare.side_by_side import compare
from gradiend_ui.engine.data.neutral_texts import read_neutral
from gradiend_ui.engine.data.rows import read_rows
from gradiend_ui.engine.errors import BadBase, BadData
from gradiend_ui.engine.export.checkpoint import export_checkpoint
from gradiend_ui.engine.export.model_card import Rewrite
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.scoring.targets import ClassTargets
from gradiend_ui.engine.sweep.plan import prepare
from gradiend_ui.engine.sweep.spec import SweepSpec
from gradiend_ui.engine.values import Cell
from gradiend_ui.engine.weights.parameter_map import match_parameters

CELL = Cell(-1.0, 0.5)
TOUCHED = {
    "tiny_t5": "encoder.block.1.layer.1.DenseReluDense.wo.weight",
    "tiny_bart": "model.shared.weight",
    "tiny_llama": "model.layers.1.mlp.down_proj.weight",
    "tiny_instruct": "model.layers.1.mlp.down_proj.weight",
    "tiny_gpt2": "transformer.wte.weight",
}
Build = Callable[..., Path]


@pytest.fixture
def gradiend_on(tmp_path: Path, request: pytest.FixtureRequest) -> Build:
    """gradiend_on("tiny_t5", prediction_objective=...) writes a random GRADIEND that maps one matrix of the base."""

    def build(name: str, base: Path | None = None, training: dict[str, Any] | None = None, **metadata: Any) -> Path:
        location = base or request.getfixturevalue(name)
        auto = AutoModelForSeq2SeqLM if name in ("tiny_t5", "tiny_bart") else AutoModelForCausalLM
        model = auto.from_pretrained(request.getfixturevalue(name))
        shape = tuple(dict(model.named_parameters())[TOUCHED[name]].shape)
        n = shape[0] * shape[1]
        generator = torch.Generator().manual_seed(7)
        weights = {
            ENCODER_WEIGHT: torch.randn(1, n, generator=generator),
            ENCODER_BIAS: torch.zeros(1),
            DECODER_WEIGHT: torch.randn(n, 1, generator=generator) * 0.3,
            DECODER_BIAS: torch.zeros(n),
        }
        save_checkpoint(
            tmp_path / "gradiend",
            architecture=Architecture(input_dim=n, latent_dim=1),
            weights=weights,
            shapes={TOUCHED[name]: shape},
            positions={},
            metadata={"base_model": str(location), **metadata},
            context={
                "source": "alternative",
                "target": "diff",
                "feature_class_encoding_direction": {"M": 1.0, "F": -1.0},
            },
            training=training,
        )
        return tmp_path / "gradiend"

    return build


@pytest.mark.parametrize(
    ("base", "asked", "objective", "kind"),
    [
        ("tiny_bert", "auto", "mlm_mask_token", "masked"),
        ("tiny_roberta", "mlm_mask_token", "mlm_mask_token", "masked"),
        ("tiny_gpt2", "auto", "clm_next_token", "causal"),
        ("tiny_llama", "clm_sequence_cloze", "clm_sequence_cloze", "causal"),
        ("tiny_gpt2", "clm_mlm_head", "clm_next_token", "causal"),
        ("tiny_t5", "auto", "seq2seq_encoder_mlm", "seq2seq"),
        ("tiny_bart", "seq2seq_decoder", "seq2seq_decoder", "seq2seq"),
    ],
)
def test_the_objective_follows_the_kind(
    base: str, asked: str, objective: str, kind: str, request: pytest.FixtureRequest
) -> None:
    loaded = load_base_model(str(request.getfixturevalue(base)), objective=asked)
    assert (loaded.objective, loaded.kind) == (objective, kind)
    assert loaded.auto_class.startswith("AutoModelFor") and not loaded.model.training
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("base", "asked", "hint"),
    [
        ("tiny_bert", "clm_next_token", "mlm_mask_token"),
        ("tiny_bert", "seq2seq_encoder_mlm", "mlm_mask_token"),
        ("tiny_gpt2", "mlm_mask_token", "clm_sequence_cloze"),
        ("tiny_gpt2", "seq2seq_decoder", "clm_next_token"),
        ("tiny_t5", "clm_sequence_cloze", "seq2seq_decoder_sequence_cloze"),
        ("tiny_t5", "mlm_mask_token", "seq2seq_encoder_mlm"),
        ("tiny_bart", "clm_mlm_head", "seq2seq_encoder_mlm"),
    ],
)
def test_an_objective_of_another_kind_is_refused_with_the_right_one(
    base: str, asked: str, hint: str, request: pytest.FixtureRequest
) -> None:
    with pytest.raises(BadBase, match=f"{asked}.*needs an? .* language model.*{hint}"):
        load_base_model(str(request.getfixturevalue(base)), objective=asked)


def test_an_unknown_objective_is_refused(tiny_bert: Path) -> None:
    with pytest.raises(BadBase, match="no prediction objective 'cloze'"):
        load_base_model(str(tiny_bert), objective="cloze")


def test_a_path_that_sounds_like_another_kind_says_nothing(tiny_bert: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_bert, tmp_path / "called-t5-bart")
    assert load_base_model(str(folder)).kind == "masked"


def test_a_model_without_a_language_head_is_refused(tiny_bert: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_bert, tmp_path / "classifier")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["BertForSequenceClassification"]}))
    with pytest.raises(BadBase, match="neither a masked nor a causal nor an encoder-decoder"):
        load_base_model(str(folder))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"device": "abacus"}, "no device 'abacus'"),
        ({"device": "cpu", "device_map": "auto"}, "not both"),
        ({"torch_dtype": torch.int8}, "torch_dtype must be"),
        ({"rhs_window": 1.5}, "rhs_window must be"),
    ],
)
def test_placements_that_cannot_work_are_refused(tiny_bert: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(BadBase, match=words):
        load_base_model(str(tiny_bert), **options)


def test_a_missing_gpu_and_a_missing_package_are_named(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BadBase, match="needs a GPU"):
        load_base_model(str(tiny_bert), device="cuda")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BadBase, match="pip install accelerate"):
        load_base_model(str(tiny_bert), device_map="auto")


def test_a_device_map_is_handed_on(tiny_t5: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    original = AutoModelForSeq2SeqLM.from_pretrained

    def record(*places: Any, device_map: object, **options: Any) -> Any:
        seen.append(device_map)
        return original(*places, **options)

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)  # as if accelerate were there
    monkeypatch.setattr(AutoModelForSeq2SeqLM, "from_pretrained", record)
    load_base_model(str(tiny_t5), device_map="auto")
    load_base_model(str(tiny_t5), device="cpu")
    assert seen == ["auto", None]


def test_a_device_map_places_the_model(tiny_gpt2: Path) -> None:
    pytest.importorskip("accelerate", reason="device_map needs accelerate")
    plain, mapped = load_base_model(str(tiny_gpt2)), load_base_model(str(tiny_gpt2), device_map={"": "cpu"})
    assert mapped.model.hf_device_map == {"": "cpu"} or mapped.model.hf_device_map == {"": torch.device("cpu")}
    assert mapped.fingerprint() == plain.fingerprint()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_bases_are_rewritten_in_float32_and_rounded_once(gradiend_on: Build, dtype: torch.dtype) -> None:
    folder = gradiend_on("tiny_gpt2")
    model = ModelWithGradiend.from_pretrained(folder, torch_dtype=dtype)
    before = dict(model.base_model.named_parameters())[TOUCHED["tiny_gpt2"]]
    update = model.update_vector("decoder", -1.0)
    assert before.dtype == dtype and update.dtype == torch.float32
    wanted = (before.float() + (update * 0.5).view(before.shape)).to(dtype)
    after = dict(model.rewrite_base_model(0.5, -1.0).named_parameters())[TOUCHED["tiny_gpt2"]]
    assert torch.equal(after, wanted)
    assert torch.equal(model.workspace().rewritten(update, 0.5).transformer.wte.weight, wanted)


def test_a_given_model_is_used_without_loading_weights_again(
    tiny_t5: Path, gradiend_on: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = gradiend_on("tiny_t5")
    given = AutoModelForSeq2SeqLM.from_pretrained(tiny_t5)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("weights were loaded a second time")

    monkeypatch.setattr(AutoModelForSeq2SeqLM, "from_pretrained", never)
    model = ModelWithGradiend.from_pretrained(folder, given)
    assert model.base_model is given and model.base.objective == "seq2seq_encoder_mlm"


def test_base_around_checks_what_it_is_given(tiny_gpt2: Path, tiny_bert: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_gpt2)
    with pytest.raises(BadBase, match="needs a masked"):
        base_around(model, load_tokenizer(str(tiny_gpt2)), "mlm_mask_token")
    masked = load_base_model(str(tiny_bert)).model
    with pytest.raises(BadBase, match="no mask token"):
        base_around(masked, load_tokenizer(str(tiny_gpt2)))


def test_the_window_is_read_from_the_checkpoint_and_can_be_overruled(gradiend_on: Build) -> None:
    cloze = {"prediction_objective": "clm_sequence_cloze"}
    field = "decoder_sequence_cloze_rhs_window"
    folder = gradiend_on("tiny_gpt2", **cloze)
    assert ModelWithGradiend.from_pretrained(folder).base.rhs_window == -1
    folder = gradiend_on("tiny_gpt2", training={"training_args": {field: 3}}, **cloze)
    assert ModelWithGradiend.from_pretrained(folder).base.rhs_window == 3
    folder = gradiend_on("tiny_gpt2", training={"training_args": {field: 3}}, **cloze, **{field: 2})
    model = ModelWithGradiend.from_pretrained(folder)
    assert (model.base.objective, model.base.rhs_window) == ("clm_sequence_cloze", 2)
    model = ModelWithGradiend.from_pretrained(folder, prediction_objective="auto", decoder_sequence_cloze_rhs_window=0)
    assert (model.base.objective, model.base.rhs_window) == ("clm_next_token", 0)
    with pytest.raises(BadBase, match="whole number of tokens, -1 for all, not 'all'"):
        ModelWithGradiend.from_pretrained(gradiend_on("tiny_gpt2", **cloze, **{field: "all"}))


def plan_fingerprint(model: ModelWithGradiend, rows: pd.DataFrame) -> str:
    return prepare(model, SweepSpec(learning_rates=(0.1,)), read_rows(rows), read_neutral(["the house ."])).fingerprint


def test_the_window_is_part_of_a_cloze_plan_only(gradiend_on: Build, rows: pd.DataFrame) -> None:
    folder = gradiend_on("tiny_gpt2")

    def fingerprint(objective: str, window: int) -> str:
        return plan_fingerprint(
            ModelWithGradiend.from_pretrained(
                folder, prediction_objective=objective, decoder_sequence_cloze_rhs_window=window
            ),
            rows,
        )

    assert fingerprint("clm_sequence_cloze", -1) != fingerprint("clm_sequence_cloze", 1)
    assert fingerprint("clm_next_token", -1) == fingerprint("clm_next_token", 1)


def test_texts_of_an_instruct_base_are_wrapped_said_and_can_be_left_bare(
    gradiend_on: Build, tiny_instruct: Path, rows: pd.DataFrame
) -> None:
    folder = gradiend_on("tiny_instruct")
    wrapped = ModelWithGradiend.from_pretrained(folder)
    bare = ModelWithGradiend.from_pretrained(folder, chat_prompt=False)
    tokenizer = AutoTokenizer.from_pretrained(tiny_instruct)
    assert (
        wrapped.base.encode(["he said"]) == tokenizer([in_chat_prompt("he said")], add_special_tokens=False).input_ids
    )
    assert bare.base.encode(["he said"]) == tokenizer(["he said"]).input_ids
    assert len(wrapped.base.encode(["he said"], 9)[0]) == 9
    plans = [
        prepare(model, SweepSpec(learning_rates=(0.1,)), read_rows(rows), read_neutral(["the house ."]))
        for model in (wrapped, bare)
    ]
    assert CHAT_WARNING in plans[0].warnings and CHAT_WARNING not in plans[1].warnings
    assert plans[0].fingerprint != plans[1].fingerprint
    scores = [plan.summarise(None, {0: plan.score_block(plan.model.base_model, 0)}) for plan in plans]
    assert scores[0].probs_by_dataset != scores[1].probs_by_dataset


def test_only_the_stated_name_decides_about_the_chat_prompt(gradiend_on: Build, tmp_path: Path) -> None:
    """A relative base is not wrapped because of a folder it happens to lie in."""
    run = tmp_path / "my-instructions"
    folder = gradiend_on("tiny_llama")
    config = json.loads((folder / "config.json").read_text())
    shutil.copytree(config["metadata"]["base_model"], run / "base")
    config["metadata"]["base_model"] = "../base"
    (folder / "config.json").write_text(json.dumps(config))
    shutil.move(folder, run / "gradiend")
    assert ModelWithGradiend.from_pretrained(run / "gradiend").base.chat_prompt is False
    assert ModelWithGradiend.from_pretrained(run / "gradiend", run / "base").base.chat_prompt is True


def mask_head(folder: Path, base: Path, *, stated: str | None = None, embedding: str) -> Path:
    """What the reference leaves of a mask head: a tokenizer with a mask, one embedding row more, the classifier."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_special_tokens({"mask_token": "[MASK]"})
    model = AutoModelForCausalLM.from_pretrained(base)
    old = dict(model.named_parameters())[embedding].detach()
    grown = torch.cat([old, torch.full((1, old.shape[1]), 0.25)])
    folder.mkdir()
    model.config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "config_mlm_head.json").write_text(json.dumps({"base_model": stated or str(base)}))
    save_file({f"decoder.{embedding}": grown, "classifier.weight": torch.zeros(2, 32)}, folder / "model.safetensors")
    return folder


def test_a_mask_head_is_scored_as_the_causal_model_under_it(
    gradiend_on: Build, tiny_gpt2: Path, tmp_path: Path
) -> None:
    head = mask_head(tmp_path / "head", tiny_gpt2, embedding="transformer.wte.weight")
    base = load_base_model(str(head), objective="clm_mlm_head")
    original = load_base_model(str(tiny_gpt2))
    assert base.objective == "clm_next_token" and base.tokenizer.mask_token == "[MASK]"
    assert torch.equal(base.model.transformer.wte.weight[:-1], original.model.transformer.wte.weight)
    assert base.model.transformer.wte.weight[-1].eq(0.25).all()
    assert base.model.lm_head.weight is base.model.transformer.wte.weight
    assert base.fingerprint() == load_base_model(str(head)).fingerprint()


def test_an_output_layer_of_its_own_grows_by_the_mean(tiny_llama: Path, tmp_path: Path) -> None:
    head = mask_head(tmp_path / "head", tiny_llama, embedding="model.embed_tokens.weight")
    base = load_base_model(str(head))
    output = base.model.lm_head.weight
    torch.testing.assert_close(output[-1], output[:-1].mean(dim=0))
    assert base.fingerprint() == load_base_model(str(head)).fingerprint()


def test_damaged_mask_heads_are_refused(tiny_gpt2: Path, tmp_path: Path) -> None:
    name = "transformer.wte.weight"
    with pytest.raises(BadBase, match="could not be fetched|cannot be loaded"):
        load_base_model(str(mask_head(tmp_path / "a", tiny_gpt2, stated="/no/such/base", embedding=name)))
    broken = mask_head(tmp_path / "b", tiny_gpt2, embedding=name)
    (broken / "config_mlm_head.json").write_text("{")
    with pytest.raises(BadBase, match="config_mlm_head.json"):
        load_base_model(str(broken))
    (broken / "config_mlm_head.json").write_text(json.dumps({"base_model": 7}))
    with pytest.raises(BadBase, match="must be text"):
        load_base_model(str(broken))
    (broken / "config_mlm_head.json").write_text(json.dumps({}))
    with pytest.raises(BadBase, match="names no base model and lacks"):
        load_base_model(str(broken))
    (broken / "config_mlm_head.json").write_text(json.dumps({"base_model": str(tiny_gpt2)}))
    stored = load_file(broken / "model.safetensors")
    save_file({**stored, "decoder.transformer.wpe.weight": torch.zeros(3, 32)}, broken / "model.safetensors")
    with pytest.raises(BadBase, match="does not fit its base model"):
        load_base_model(str(broken))
    save_file({"classifier.weight": torch.zeros(2, 32)}, broken / "model.safetensors")
    with pytest.raises(BadBase, match="does not hold the embedding"):
        load_base_model(str(broken))
    (broken / "model.safetensors").write_bytes(b"12345")
    with pytest.raises(BadBase, match="empty or truncated"):
        load_base_model(str(broken))


def test_a_mask_head_names_its_base_beside_it_and_no_folder_beyond(tiny_gpt2: Path, tmp_path: Path) -> None:
    """Whether or not there is one: what is beyond is neither opened nor told of."""
    name = "transformer.wte.weight"
    (tmp_path / "run").mkdir()
    for place in ("base", "run/base"):
        shutil.copytree(tiny_gpt2, tmp_path / place)
    head = mask_head(tmp_path / "run/head", tiny_gpt2, stated="../base", embedding=name)
    assert load_base_model(str(head)).objective == "clm_next_token"
    for stated in ("../../base", "../../none", "x/../../../base"):
        (head / "config_mlm_head.json").write_text(json.dumps({"base_model": stated}))
        with pytest.raises(BadBase, match="leads out of the folder around it"):
            load_base_model(str(head))


def test_a_mask_head_stands_on_no_other_and_not_on_itself(tiny_gpt2: Path, tmp_path: Path) -> None:
    name = "transformer.wte.weight"
    mask_head(tmp_path / "other", tiny_gpt2, embedding=name)
    head = mask_head(tmp_path / "head", tiny_gpt2, embedding=name)
    for stated in ("../other", "../head", "."):
        (head / "config_mlm_head.json").write_text(json.dumps({"base_model": stated}))
        with pytest.raises(BadBase, match="a mask head on a mask head"):
            load_base_model(str(head))


def test_a_whole_mask_head_needs_no_base(tiny_gpt2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads of older versions hold every weight and name no base model."""
    head = mask_head(tmp_path / "head", tiny_gpt2, embedding="transformer.wte.weight")
    model = AutoModelForCausalLM.from_pretrained(tiny_gpt2)
    stored = load_file(head / "model.safetensors")
    whole = {f"decoder.{name}": parameter.detach().clone() for name, parameter in model.named_parameters()}
    save_file({**whole, **stored}, head / "model.safetensors")
    with_base = load_base_model(str(head)).model
    (head / "config_mlm_head.json").write_text(json.dumps({}))
    alone = load_base_model(str(head)).model
    for name, tensor in with_base.state_dict().items():
        assert torch.equal(alone.state_dict()[name], tensor), name
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)  # as if accelerate were there
    with pytest.raises(BadBase, match="Give a device"):
        load_base_model(str(head), device_map="auto")


def test_names_given_under_a_mask_head_are_matched(tiny_gpt2: Path, tiny_t5: Path) -> None:
    def entry(name: str, shape: tuple[int, ...]) -> MapEntry:
        return MapEntry(name, shape, "all", None, shape[0])

    gpt2 = load_base_model(str(tiny_gpt2)).model
    named = [entry("decoder.transformer.ln_f.bias", (32,)), entry("module.decoder.transformer.ln_f.weight", (32,))]
    assert [part.name for part in match_parameters(gpt2, named, {})] == [
        "transformer.ln_f.bias",
        "transformer.ln_f.weight",
    ]
    t5 = load_base_model(str(tiny_t5)).model
    own = match_parameters(t5, [entry("decoder.final_layer_norm.weight", (32,))], {})
    assert own[0].name == "decoder.final_layer_norm.weight"
    with pytest.raises(BadBase, match="no parameter 'decoder.ln_f.bias'"):
        match_parameters(gpt2, [entry("decoder.ln_f.bias", (32,))], {})


OBJECTIVES = [
    ("tiny_t5", "auto"),
    ("tiny_bart", "auto"),
    ("tiny_t5", "seq2seq_decoder"),
    ("tiny_t5", "seq2seq_decoder_sequence_cloze"),
    ("tiny_bart", "seq2seq_decoder_sequence_cloze"),
    ("tiny_gpt2", "clm_sequence_cloze"),
    ("tiny_llama", "clm_next_token"),
    ("tiny_instruct", "auto"),
]


@pytest.mark.parametrize(("base", "objective"), OBJECTIVES)
def test_side_by_side_agrees_with_the_sweep(base: str, objective: str, gradiend_on: Build, rows: pd.DataFrame) -> None:
    model = ModelWithGradiend.from_pretrained(gradiend_on(base), prediction_objective=objective)
    data = read_rows(rows.assign(split="test").head(1))
    targets = {"M": ["he"], "F": ["she"]}
    spec = SweepSpec(learning_rates=(CELL.learning_rate,), targets=targets)
    plan = prepare(model, spec, data, read_neutral(["the house was quiet ."]), classes=("M", "F"))
    weights = model.rewrite_base_model(CELL.learning_rate, CELL.feature_factor)
    text = data.rows[0].masked
    static = ClassTargets({"M": ("he",), "F": ("she",)}, ("M", "F"))
    (answer,) = compare(model, model.workspace(), [CELL], [text], targets=static, top_k=3)
    (mask,) = answer["masks"]
    for found, scored_by in ((mask["base"], model.base_model), (mask["cells"][0], weights)):
        wanted = plan.objective.score(scored_by, plan.objective.blocks[0])[0].tolist()
        assert [found["classes"][name] for name in plan.objective.classes] == pytest.approx(wanted, abs=1e-6)
        assert len(found["top"]) == 3 and all(entry["p"] > 0 for entry in found["top"])
    assert mask["base"]["classes"] != mask["cells"][0]["classes"]


def test_side_by_side_of_row_wise_targets_and_missing_gaps(gradiend_on: Build) -> None:
    model = ModelWithGradiend.from_pretrained(gradiend_on("tiny_t5"), prediction_objective="seq2seq_decoder")
    row_wise = ClassTargets(None, ("M", "F"))
    (answer,) = compare(model, model.workspace(), [], ["john said [MASK] ."], targets=row_wise)
    assert answer["masks"][0]["base"]["classes"] == {}
    with pytest.raises(BadData, match="Sentence 1 has no"):
        compare(model, model.workspace(), [], ["john said ."], targets=row_wise)


@pytest.mark.parametrize("base", ["tiny_t5", "tiny_bart", "tiny_llama"])
def test_a_rewrite_of_every_kind_is_exported_and_loads_again(base: str, gradiend_on: Build, tmp_path: Path) -> None:
    model = ModelWithGradiend.from_pretrained(gradiend_on(base))
    folder = export_checkpoint(model, Rewrite(CELL, "decoder", {}), tmp_path / "out")
    auto = AutoModelForCausalLM if base == "tiny_llama" else AutoModelForSeq2SeqLM
    loaded = dict(auto.from_pretrained(folder).named_parameters())[TOUCHED[base]]
    assert torch.equal(loaded, dict(model.rewrite_base_model(0.5, -1.0).named_parameters())[TOUCHED[base]])
    assert model.base.auto_class in (folder / "README.md").read_text()
