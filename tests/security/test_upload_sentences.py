"""What is said of files that are no whole tables, models or GRADIENDs: the file, what is wrong, what to do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gradiend_ui.engine.base.files import ACTIVATIONS, NUMBER_KINDS, check_config
from gradiend_ui.engine.base.trouble import load_failure
from gradiend_ui.engine.checkpoint.companions import find_companions
from gradiend_ui.engine.checkpoint.reading import find_checkpoint_folder
from gradiend_ui.engine.checkpoint.run_folder import checkpoint_in, read_run_folder
from gradiend_ui.engine.data.table_reading import read_file
from gradiend_ui.engine.data.uploaded_tables import told_by_name
from gradiend_ui.engine.errors import BadBase, BadCheckpoint, BadData
from gradiend_ui.engine.uploads.clean_model import clean_tokenizer_config
from gradiend_ui.engine.uploads.trust import LOCAL, named_by, public_trust

JARGON = ("deserialize", "thrift", "recursion", "Expecting", "column", "char 0", "attribute", "pip install", "digits")
TABLES: dict[str, tuple[str, bytes]] = {
    "cut parquet": ("t.parquet", b"PAR1"),
    "parquet of zeros": ("t.parquet", b"PAR1" + bytes(60) + b"PAR1"),
    "parquet of nothing": ("t.parquet", b"PAR1" + b"\x15\x04\x19" * 20 + b"\x08\x00\x00\x00PAR1"),
    "deep list": ("t.json", b"[" * 200_000),
    "deep objects": ("t.json", b'{"a":' * 200_000),
    "cut json": ("t.json", b'[{"a": 1'),
    "no json": ("t.json", b"hello"),
    "long number": ("t.json", b'[{"a": ' + b"1" * 5000 + b"}]"),
    "zero bytes": ("t.csv", b"a,b\n\x00\x00\x00,\x00\n"),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_damaged_table_is_told_without_the_words_of_a_library(case: str, tmp_path: Path) -> None:
    name, content = TABLES[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadData, match=f"{name} cannot be read as .*save (it|the table|a list of objects)") as told:
        read_file(tmp_path / name)
    assert not [word for word in JARGON if word in str(told.value)]


UPLOAD = f"{'0' * 64}.csv"
CANNOT = "The .csv file cannot be read: it holds zero bytes."


@pytest.mark.parametrize(
    ("given", "sentence", "named"),
    [
        ({"upload": UPLOAD, "name": "rows.CSV"}, CANNOT, "rows.CSV cannot be read: it holds zero bytes."),
        ({"upload": UPLOAD, "name": "rows.CSV"}, "The table is empty.", "rows.CSV: The table is empty."),
        ({"upload": UPLOAD, "name": "a\nb"}, CANNOT, "'a\\nb' cannot be read: it holds zero bytes."),
        ({"upload": UPLOAD, "name": " "}, CANNOT, CANNOT),
        ({"upload": UPLOAD, "name": 5}, CANNOT, CANNOT),
        ({"upload": UPLOAD}, CANNOT, CANNOT),
        ({"upload": "x", "name": "rows.csv"}, CANNOT, CANNOT),
        ([{"name": "x"}], CANNOT, CANNOT),
        (None, CANNOT, CANNOT),
    ],
)
def test_an_uploaded_table_is_called_by_its_name(given: Any, sentence: str, named: str) -> None:
    with pytest.raises(BadData) as told, told_by_name(given):
        raise BadData(sentence)
    assert str(told.value) == named


@pytest.mark.parametrize(
    "fields",
    [
        {"hidden_act": "__class__"}, {"activation_function": "items"}, {"pooler_hidden_act": "gelu2"},
        {"hidden_act": "GELU"},
        {"feed_forward_proj": "gated-x"}, {"text_config": {"hidden_act": "__init__"}},
    ],
)  # fmt: skip
@pytest.mark.parametrize("public", [True, False])
def test_activations_are_real_ones(fields: Mapping[str, Any], public: bool) -> None:
    trust = public_trust() if public else LOCAL
    with pytest.raises(BadBase, match=r"config.json of the base model 'b': \w+ must be one of .*, not '"):
        check_config({"model_type": "bert", **fields}, "b", trust)


@pytest.mark.parametrize("fields", [{"dtype": "inference_mode"}, {"torch_dtype": "torch.load"}, {"dtype": "int"}])
def test_kinds_of_numbers_of_a_visitor_are_real_ones(fields: Mapping[str, Any]) -> None:
    """On one's own machine they are passed over: the kind to load in is given, whatever the file says."""
    with pytest.raises(BadBase, match=r"config.json of the base model 'b': \w+ must be one of .*, not '"):
        check_config({"model_type": "bert", **fields}, "b", public_trust())
    check_config({"model_type": "bert", **fields}, "b", LOCAL)


@pytest.mark.parametrize("fields", [{"feed_forward_proj": "gated-gelu"}, {"dtype": "torch.bfloat16"}, {"dtype": None}])
def test_settings_of_real_models_are_none_of_them(fields: Mapping[str, Any]) -> None:
    check_config({"model_type": "t5", **fields}, "b", public_trust())


def test_the_lists_are_those_of_the_libraries() -> None:
    import torch
    from transformers.activations import ACT2CLS

    assert set(ACT2CLS) == ACTIVATIONS
    assert all(isinstance(getattr(torch, name), torch.dtype) for name in NUMBER_KINDS if name != "auto")


def test_a_tokenizer_of_another_library_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        BadBase, match="tokenizer_config.json of 'base': tokenizer_class is 'MistralCommonBackend', which"
    ):
        clean_tokenizer_config({"tokenizer_class": "MistralCommonBackend"}, "tokenizer_config.json of 'base'")
    told = load_failure(str(tmp_path), ImportError("requires the x library: pip install x"), "tokenizer")
    assert "library that is not installed here" in told and "pip" not in told


def test_weights_of_another_shape_are_told_with_what_to_do(tmp_path: Path) -> None:
    long = "You set `ignore_mismatched_sizes` to `False`, thus raising an error. For details look at the above report!"
    told = load_failure(str(tmp_path), RuntimeError(long))
    assert "other shapes than config.json says" in told and "above" not in told
    told = load_failure(str(tmp_path), TypeError("Validation error for field 'eps':\n    expected float, got str\n"))
    assert "field 'eps': expected float, got str" in told


def test_a_zip_with_a_base_alone_holds_no_gradiend(tiny_bert: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_bert, tmp_path / "base")
    for more in (None, "eval.csv"):
        if more is not None:
            (tmp_path / more).write_text("a")
        with pytest.raises(BadCheckpoint, match=r"holds a base model \(base\) and no GRADIEND"):
            checkpoint_in(tmp_path)


def test_a_folder_without_a_name_is_called_by_its_path() -> None:
    with pytest.raises(BadCheckpoint, match="^/ holds no config.json"):
        find_checkpoint_folder(Path("/"))


@pytest.mark.parametrize("name", ["/etc/passwd", "a/b.csv", "..", "x\\y.csv", "\u00e4" * 200, "x" * 5000, "a\nb"])
@pytest.mark.parametrize("key", ["rows", "neutral"])
def test_a_manifest_names_plain_files(name: str, key: str, tmp_path: Path) -> None:
    (tmp_path / "demo.json").write_text(json.dumps({key: name if key == "rows" else {"set": name}}))
    for trust in (LOCAL, public_trust().within(tmp_path)):
        (told,) = find_companions(tmp_path, trust=trust).warnings
        assert "must be the plain name of a file in the same folder" in told and "There is no file" not in told


@pytest.mark.parametrize("text", ["x" * 5000, "\u00e4" * 200, "~nobody-of-this-name/x", "a\nb"])
def test_texts_that_no_system_takes_as_a_name_are_never_asked_about(text: str, tmp_path: Path) -> None:
    (tmp_path / "seeds").mkdir()
    report = {"runs": [{"seed": 1, "output_dir": f"/runs/{text}", "eval_correlation": 0.5}]}
    (tmp_path / "seeds/seed_report.json").write_text(json.dumps(report))
    assert [seed.folder for seed in read_run_folder(tmp_path).seeds] == [None]
    (tmp_path / "config.json").write_text(json.dumps({"metadata": {"base_model": text, "tokenizer": text}}))
    assert list(named_by(tmp_path)) == []
