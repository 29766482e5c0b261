"""Step Export: what is asked for, under which name, what is told meanwhile, and the card before it is written."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest

from gradiend_ui.engine.errors import BadGrid, BadName, Failed, NotAllowed, NotFound
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.values import Cell, CellScore
from gradiend_ui.engine.worker.requests import DescribeExport, Export, Pack, Rewriting
from gradiend_ui.server.exports import Exports, Piece, _default_name, checked_name, safe, unique_names
from gradiend_ui.server.shared import Shared
from gradiend_ui.ui.export import panel as export
from gradiend_ui.ui.export.panel import blocks_of, build_card, inline
from gradiend_ui.ui.kit.tree import text_of
from gradiend_ui.ui.listeners.export import chosen_options, steps

CELL = {"feature_factor": -1.0, "learning_rate": 0.2}
WINNERS = {"F": CELL, "M": {"feature_factor": 1.0, "learning_rate": 0.05}}
CARD = """---
tags:
- gradiend
---

# base, rewritten

The **base** is `base + x`,
in two lines.

| | |
|---|---|
| part | decoder |

## Scores

| | base | rewritten |
|---|---|---|
| P(F) on M rows | 0.1 | 0.7 |

```python
x = 1

# no heading
```
"""

BROKEN = {"token": "[CLS]", "share": 0.97, "base_share": 0.12}


class Worker:
    """Writes a small file in place of weights; `fails` at the n-th model."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.fails = 0

    def ask(self, request: Any) -> Any:
        self.asked.append(request)
        if isinstance(request, DescribeExport):
            size = {"float32": 4_000_000, "float16": 2_000_000, "bfloat16": 2_000_000}
            broken = BROKEN if request.rewriting.cell.feature_factor < 0 else None
            return {"card": CARD, "script": f"name = {request.name!r}", "bytes": size, "stored": "float16",
                    "scored": "float32", "degenerate": broken}  # fmt: skip
        if isinstance(request, Pack):
            with zipfile.ZipFile(request.zip, "w") as archive:
                for path in Path(request.folder).rglob("*.safetensors"):
                    archive.write(path, path.relative_to(Path(request.folder).parent))
            return request.zip
        if len([1 for asked in self.asked if isinstance(asked, Export)]) == self.fails:
            raise Failed("The export could not be written: No space left on device.")
        Path(request.folder).mkdir(parents=True)
        (Path(request.folder) / "model.safetensors").write_bytes(b"weights")
        return request.folder


class Exporting:
    """As much of a session as exporting needs, on a real store."""

    def __init__(self, folder: Path, public: bool = False, export_dir: Path | None = None) -> None:
        folder.mkdir(exist_ok=True)
        store = Store(folder / "runs.sqlite")
        store.save_checkpoint("ck", "demo", {}, {"name": "my demo"})
        scores = [CellScore(None, "final"), CellScore(Cell(-1.0, 0.2), "final")]
        self.run = store.create_finished_run("ck", {}, {"classes": ["M", "F"]}, scores)
        self.worker, self.questions = Worker(), []
        self.folder = folder
        self.exports = Exports(Shared(store, self.worker, folder, public, export_dir), self.select)  # type: ignore[arg-type]

    def select(self, run: str, options: Any) -> dict[str, Any]:
        self.questions.append(dict(options))
        return {**WINNERS[options["target_class"]], "fallback": options["target_class"] == "M"}


@pytest.fixture
def exporting(tmp_path: Path) -> Exporting:
    return Exporting(tmp_path)


def test_a_cell_becomes_a_zip_with_its_name(exporting: Exporting, downloads: Path, words) -> None:
    told = list(steps(exporting, exporting.run, {**CELL, "dtype": "float16"}, words, False))  # type: ignore[arg-type]
    path = Path(told[-1][1])
    assert path.name == "my_demo-ff-1-lr0.2.zip" and downloads in path.parents
    assert zipfile.ZipFile(path).namelist() == ["my_demo-ff-1-lr0.2/model.safetensors"]
    sentences = [text_of(note) for note, _ in told]
    assert "(−1, 0.2)" in sentences[0] and "Packing" in sentences[1]
    assert sentences[2].startswith("Downloaded my_demo-ff-1-lr0.2.zip (")
    assert exporting.worker.asked[0].rewriting == Rewriting(Cell.of(CELL), "float16", None)


def test_the_same_name_twice_does_not_collide(exporting: Exporting) -> None:
    options = {**CELL, "name": "she"}
    first, second = (exporting.exports.zip_of(exporting.run, options) for _ in range(2))
    assert Path(first).name == Path(second).name == "she.zip" and first != second
    assert Path(first).exists() and Path(second).exists()


def test_several_classes_are_folders_of_one_zip(exporting: Exporting) -> None:
    options = {"target_classes": ["F", "M"], "ratio": 0.95}
    path = exporting.exports.zip_of(exporting.run, options)
    names = zipfile.ZipFile(path).namelist()
    assert names == [f"my_demo-F-M/{name}/model.safetensors" for name in ("F", "M")]
    assert exporting.questions == [{"ratio": 0.95, "target_class": name} for name in ("F", "M")]
    reasons = [asked.rewriting.chosen_for for asked in exporting.worker.asked if isinstance(asked, Export)]
    assert reasons[0] == "strengthen F: the best cell with LMS at least 0.95 of the base"
    assert "smallest step" in reasons[1], "a fallback is no winner"


def test_the_card_says_whether_a_cell_is_the_answer(exporting: Exporting) -> None:
    for cell, said in ((CELL, "the best cell"), ({**CELL, "learning_rate": 0.1}, "chosen by hand")):
        contents = exporting.exports.contents(exporting.run, {**cell, "target_class": "F"})
        assert said in str(contents.pieces[0].chosen_for)
    assert exporting.exports.contents(exporting.run, CELL).pieces[0].chosen_for is None


def test_a_folder_is_kept_and_never_written_over(exporting: Exporting, words) -> None:
    options = {**CELL, "name": "she"}
    *_, (note, path) = steps(exporting, exporting.run, options, words, True)  # type: ignore[arg-type]
    kept = exporting.folder / "exported" / "she"
    assert (kept / "model.safetensors").read_bytes() == b"weights" and path == ""
    assert str(kept) in text_of(note)
    (kept / "mine.txt").write_text("mine")
    with pytest.raises(BadName, match="exists already"):
        list(exporting.exports.write(exporting.run, options, keep=True))
    assert (kept / "mine.txt").read_text() == "mine"
    assert [item.name for item in kept.parent.iterdir()] == ["she"], "nothing half lies beside it"


def test_a_folder_goes_where_the_server_was_told_to_put_it(tmp_path: Path) -> None:
    told = Exporting(tmp_path / "data", export_dir=tmp_path / "mine")
    *_, last = told.exports.write(told.run, {**CELL, "name": "she"}, keep=True)
    assert last["path"] == str(tmp_path / "mine" / "she")
    assert [item.name for item in (tmp_path / "mine").iterdir()] == ["she"]


def test_a_public_server_keeps_no_folders(tmp_path: Path) -> None:
    public = Exporting(tmp_path, public=True)
    with pytest.raises(NotAllowed, match="download the zip"):
        list(public.exports.write(public.run, CELL, keep=True))
    public.exports.describe(public.run, CELL)
    assert public.worker.asked[-1].tells_paths is False


def test_nothing_half_is_left_when_the_disk_is_full(exporting: Exporting) -> None:
    exporting.worker.fails = 2
    with pytest.raises(Failed, match="No space left"):
        list(exporting.exports.write(exporting.run, {"target_classes": ["F", "M"]}, keep=True))
    assert list((exporting.folder / "exported").iterdir()) == []


@pytest.mark.parametrize(
    "name", ["../up", "a/b", "a\\b", ".hidden", "x" * 81, "a b", "nul\0", "-x", "end.", "é" * 80 + "é", 5, " . "]
)
def test_names_that_lead_elsewhere_are_refused(exporting: Exporting, name: Any) -> None:
    with pytest.raises(BadName, match="cannot be the name"):
        exporting.exports.contents(exporting.run, {**CELL, "name": name})


def test_names_are_made_of_what_is_there() -> None:
    assert checked_name(" she-2.0 ") == "she-2.0" and checked_name("größe") == "größe"
    assert safe("../a b") == "a_b" and safe("...") == "model"
    assert checked_name(safe("漢" * 200))
    assert unique_names(["F", "f", "F"]) == ["F", "f-2", "F-3"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "two numbers, or target_classes"),
        ({**CELL, "learning_rate": "1"}, "A cell is named by the two numbers"),
        ({**CELL, "kind": "delta"}, "kind must be checkpoint"),
        ({**CELL, "where": "/tmp"}, "Unknown option 'where'"),
        ({"target_classes": []}, "at least one class"),
        ({"target_classes": "F"}, "at least one class"),
        ({"target_classes": ["X"]}, "among M, F, not 'X'"),
        ({**CELL, "part": {}}, r"part must be one of decoder, .*, not \{\}"),
        ({**CELL, "part": ""}, "part must be one of decoder, .*, not ''"),
        ({**CELL, "part": 0}, "part must be one of decoder, .*, not 0"),
        ({**CELL, "policy": []}, r"policy must be one of lms_threshold, lms_times_metric, not \[\]"),
        ({**CELL, "policy": {"a": 1}}, "policy must be one of"),
        ({**CELL, "goal": {}}, r"goal must be one of strengthen, weaken, not \{\}"),
        ({**CELL, "goal": "both"}, "goal must be one of strengthen, weaken, not 'both'"),
        ({**CELL, "ratio": "much"}, "ratio must be a number, not 'much'"),
        ({**CELL, "policy": "lms_times_metric", "ratio": {}}, r"ratio must be a number, not \{\}"),
        ({**CELL, "any_feature_factor": 1}, "any_feature_factor must be true or false, not 1"),
        ({**CELL, "target_class": []}, r"target_class must be one of M, F, not \[\]"),
        ({"target_classes": ["F"], "part": []}, "part must be one of"),
        ({"target_classes": ["F"], "goal": "up"}, "goal must be one of"),
    ],
)
def test_options_are_checked(exporting: Exporting, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadGrid, match=sentence):
        exporting.exports.contents(exporting.run, options)


@pytest.mark.parametrize("name", ["\ud800", "a\udfff", "\ud800" * 300, "x/y", 5, False, [], {}, ["a"]])
def test_a_name_that_is_none_is_refused_in_a_sentence(exporting: Exporting, name: object) -> None:
    with pytest.raises(BadName, match="cannot be the name of an export") as told:
        exporting.exports.contents(exporting.run, {**CELL, "name": name})
    str(told.value).encode()


def test_cells_that_differ_have_names_that_differ(exporting: Exporting) -> None:
    numbers = [0.1, 0.1000001, 0.10000000000000002, -0.1, 1, 1.5, 1e5, 1e-5, 123456.0, 1234567.0, 1e308, 1e-308, 2 / 3]
    names = [_default_name("m", (Piece(Cell(f, r), "", None),)) for f in numbers
             for r in numbers]  # fmt: skip
    assert len(set(names)) == len(numbers) ** 2 and all(checked_name(name) == name for name in names)
    assert names[0] == "m-ff0.1-lr0.1" and names[1] == "m-ff0.1-lr0.1000001"
    for model in ("x" * 300, "漢" * 300, "\U00020000" * 300, "con.", "..."):
        long = [_default_name(model, (Piece(Cell(-2 / 3, r), "", None),))
                for r in (0.1 + 0.2, 0.3)]  # fmt: skip
        assert long[0] != long[1] and all(checked_name(name) == name for name in long)


def test_export_without_a_cell_is_refused(words, options) -> None:
    with pytest.raises(NotFound, match="no cell to export"):
        chosen_options(None, options, words)
    assert chosen_options(None, options, words, ["F"], name="", dtype="float16") == {
        "goal": "strengthen", "policy": "lms_threshold", "ratio": 0.99, "any_feature_factor": False,
        "dtype": "float16", "target_classes": ["F"],
    }  # fmt: skip
    assert chosen_options(CELL, options, words)["target_class"] == "F"


def test_the_drawer_shows_sizes_and_each_card(exporting: Exporting, words) -> None:
    described = exporting.exports.describe(exporting.run, {"target_classes": ["F", "M"], "name": "both"})
    choices = export.dtype_choices(described, words)
    assert choices == [
        ("float32, 8.00 MB, as swept", "float32"),
        ("float16, 4.00 MB", "float16"),
        ("bfloat16, 4.00 MB", "bfloat16"),
        ("as the base's files (float16), 4.00 MB", "base"),
    ]
    assert described["pieces"][1]["script"] == "name = 'both-M'"
    text = text_of(export.build_preview(described, 1, words))
    assert "Card of F" in text and "Card of M" in text and "P(F) on M rows" in text


def test_the_drawer_says_first_which_models_are_broken(exporting: Exporting, words) -> None:
    described = exporting.exports.describe(exporting.run, {"target_classes": ["F", "M"], "name": "both"})
    assert [piece["degenerate"] is None for piece in described["pieces"]].count(False) == 1
    for shown in (0, 1):
        text = text_of(export.build_preview(described, shown, words))
        assert text.index("is broken.") < text.index("Card of F"), "whichever card is looked at"
        assert "“[CLS]” at 97 % of the places" in text
    sane = exporting.exports.describe(exporting.run, {"feature_factor": 1.0, "learning_rate": 0.5})
    assert "broken" not in text_of(export.build_preview(sane, 0, words))


def test_a_card_is_read_block_by_block() -> None:
    assert [lines[0] for lines in blocks_of(CARD)] == [
        "---", "# base, rewritten", "The **base** is `base + x`,", "| | |", "## Scores", "| | base | rewritten |",
        "```python",
    ]  # fmt: skip
    tree = build_card(CARD)
    tags = [child["tag"] for child in tree["children"]]
    assert tags == ["pre", "h3", "p", "table", "h3", "table", "pre"]
    assert text_of(tree["children"][-1]) == "x = 1\n\n# no heading"
    assert "no thead" not in tags and tree["children"][3]["children"][0]["tag"] == "tbody"


def test_nothing_in_a_card_becomes_markup() -> None:
    assert inline("a <b>x</b> `c` **d**") == ["a <b>x</b> ", {"tag": "code", "attributes": {}, "children": ["c"]}, " ",
                                              {"tag": "strong", "attributes": {}, "children": ["d"]}]  # fmt: skip


def test_another_model_begins_with_empty_options(card, words) -> None:
    _, name, classes, _, shown = export.opened_values(card, None, words)
    assert (name, classes.value, shown) == ("", [], 0)
