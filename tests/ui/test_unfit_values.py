"""Values that a widget does not take: one sentence, in the page's language, that says what it takes; no traceback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio.data_classes import FileData, ListFiles

from gradiend_ui.ui.kit.refusals import last_resort, unfit_value
from gradiend_ui.ui.kit.words import Words, languages
from tests.support.served import Served, served

TABLES = [".csv", ".json"]
ODD: list[Any] = [float("nan"), "x" * 10_000, {"a": [1]}, ["b"] * 5000, -(10**400), True, "<b>\ud800\n"]


def told_by(widget: Any, value: Any, language: str = "en") -> str:
    """What is told of a value that the widget does not take."""
    try:
        widget.preprocess(value)
    except gr.Error as error:
        sentence = unfit_value(error, Words(language))
    assert sentence is not None and "\n" not in sentence and len(sentence) < 350
    return sentence


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("value", ODD)
def test_what_is_none_of_the_choices(value: Any, language: str) -> None:
    choices = [("by name", "name"), ("by size", "size")]
    widgets = [gr.Radio(choices, label="Sorted"), gr.Dropdown(choices, label="Sorted")]
    for widget in widgets:
        told = told_by(widget, value, language)
        assert "Sorted" in told and "by name, by size" in told and "type:" not in told and "<class" not in told
    assert "reload" in told_by(gr.Dropdown([], label="Sorted"), value) and "neu laden" in told_by(
        gr.Radio([], label="Sorted"), value, "de"
    )


def test_of_several_values_the_wrong_one_is_told() -> None:
    for widget in (gr.CheckboxGroup(["a", "b"], label="L"), gr.Dropdown(["a", "b"], label="L", multiselect=True)):
        assert told_by(widget, ["a", "c"]) == "“L” does not take 'c': choose one of a, b."


def test_numbers_beyond_their_limits() -> None:
    assert "from 0 to 1" in told_by(gr.Number(minimum=0, maximum=1, label="L"), 5)
    assert "von 0 bis ∞" in told_by(gr.Number(minimum=0, label="L"), -5, "de")


@pytest.mark.parametrize("name", ["a.zip", "csv", ".csv", "x" * 5000])
def test_kinds_of_files_are_named(name: str, tmp_path: Path) -> None:
    file = FileData(path=str(tmp_path / "kept.bin"), orig_name=name)
    for widget, value in (
        (gr.UploadButton("Upload", file_types=TABLES), file),
        (gr.File(file_types=TABLES), file),
        (gr.File(file_types=TABLES, file_count="multiple"), ListFiles([file])),
    ):
        told = told_by(widget, value)
        assert ".csv, .json" in told and repr(name[:40])[:-1] in told and str(tmp_path) not in told
        assert ".csv, .json" in told_by(widget, value, "de") and "keine Datei" in told_by(widget, value, "de")


def test_gradios_own_errors_are_told_as_ours_and_ours_stay() -> None:
    with pytest.raises(gr.Error) as told, last_resort(Words("de")):
        raise gr.Error("File /etc/passwd is not in the cache folder and cannot be accessed.")
    assert told.value.message == Words("de")("page.not_understood") and not told.value.print_exception
    with pytest.raises(gr.Error) as told, last_resort(Words("de")):
        gr.Radio(["<b>"], label="<i>").preprocess("<script>")
    assert "<" not in told.value.message and "nimmt" in told.value.message and told.value.title == "Nicht möglich"
    own = gr.Error("ours", print_exception=False)
    with pytest.raises(gr.Error) as told, last_resort(Words("de")):
        raise own
    assert told.value is own


# --- a real server -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("unfit") / "data") as server:
        yield server
    assert "Traceback" not in server.log.read_text(), server.log.read_text()[-2000:]


def asked(http: httpx.Client, function: int, data: list[Any]) -> dict[str, Any]:
    """What the page is told at the end of its call."""
    body = {"data": data, "fn_index": function, "session_hash": "unfit"}
    http.post("/gradio_api/queue/join", json=body).raise_for_status()
    with http.stream("GET", "/gradio_api/queue/data", params={"session_hash": "unfit"}) as stream:
        lines = [json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: ")]
    told: dict[str, Any] = next(line for line in lines if line["msg"] == "process_completed")
    return told


def test_each_page_tells_it_in_its_language(server: Served) -> None:
    with httpx.Client(base_url=server.url, timeout=60, headers={"origin": server.url}) as http:
        config = http.get("/config").json()
        widgets = {component["id"]: component for component in config["components"]}
        found: dict[str, list[int]] = {"data-upload": [], "preset": [], "load-zip": []}
        for function in config["dependencies"]:
            for target, event in function["targets"]:
                name = widgets.get(target, {}).get("props", {}).get("elem_id")
                if (name, event) in (("data-upload", "upload"), ("preset", "change"), ("load-zip", "upload")):
                    found[name].append(function["id"])
        kept = http.post("/gradio_api/upload", files={"files": ("a.exe", b"x")}).json()[0]
        file = {"path": kept, "meta": {"_type": "gradio.FileData"}, "orig_name": "a.exe"}
        for name, kinds in (("data-upload", ".csv, .tsv"), ("load-zip", ".zip")):
            sentences = []
            for number in found[name]:
                function = next(one for one in config["dependencies"] if one["id"] == number)
                data = [
                    file if widgets.get(one, {}).get("props", {}).get("elem_id") == name else None
                    for one in function["inputs"]
                ]
                told = asked(http, number, data)
                assert not told["success"]
                sentences.append(str(told["output"]["error"]))
            assert all("a.exe" in one and kinds in one and server.data.name not in one for one in sentences)
            assert {"keine Datei" in one for one in sentences} == {True, False}, sentences
    assert "Traceback" not in server.log.read_text()
