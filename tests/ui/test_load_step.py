"""Step Load: health card, assumptions and their corrections, finished sweeps, questions, sources, failures."""

from __future__ import annotations

import asyncio
import json
import re
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from gradiend_ui.engine.base.uploaded import was_taken_in
from gradiend_ui.engine.errors import BadBase, BadCheckpoint, BadGrid, NotAllowed, NotFound
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.worker.requests import Load
from gradiend_ui.server.checkpoints import Uploads
from gradiend_ui.server.door.quotas import LOCAL
from gradiend_ui.server.shared import Shared
from gradiend_ui.ui.kit.tree import text_of
from gradiend_ui.ui.kit.words import Words, texts_of
from gradiend_ui.ui.load import health, questions
from gradiend_ui.ui.load import panel as load
from gradiend_ui.ui.load.questions import Asked

pytestmark = pytest.mark.filterwarnings("ignore::Warning:gradio", "ignore::ResourceWarning")
SWEEP = {
    "file": "decoder_grid_cache.json",
    "cells": 32,
    "part": "decoder",
    "split": "test",
    "goal": "strengthen",
    "classes": ["F", "M"],
    "written_by": "gradiend",
}
IMPORTED = {"file": SWEEP["file"], "check": "verified", "note": "Opened from decoder_grid_cache.json."}
SEEDS = [
    {"seed": 0, "correlation": 0.41, "converged": False, "best": False, "kept": False, "open": False},
    {"seed": 1, "correlation": 0.98, "converged": True, "best": True, "kept": True, "open": True},
    {"seed": 2, "correlation": None, "converged": None, "best": False, "kept": True, "open": False},
]


def picks(tree: dict[str, Any]) -> list[str]:
    """The values of all buttons of a tree."""
    own = [tree["attributes"]["data-pick"]] if "data-pick" in tree["attributes"] else []
    return own + [value for child in tree["children"] if isinstance(child, dict) for value in picks(child)]


def tips(tree: dict[str, Any]) -> list[str]:
    own = [tree["attributes"]["data-tip"]] if "data-tip" in tree["attributes"] else []
    return own + [tip for child in tree["children"] if isinstance(child, dict) for tip in tips(child)]


# --- the card ---------------------------------------------------------------------------------------------------------


def test_the_health_card_says_which_way_it_pushes(card, words) -> None:
    tree = health.build_health(card, words)
    text = text_of(tree)
    assert "feature factor +1 pushes towards M feature factor −1 pushes towards F" in text
    assert "base,  fills in the masked word" in text
    assert "the other class's words ;  5.00 % of the weights" in text
    assert "correlation 0.998 ,  converged" in text
    assert "1.50 GB of 12.0 GB free" in text and "may not fit" not in text
    assert len(tips(tree)) == 7, "each number has its meaning one hover away"
    assert any("mlm_mask_token" in tip for tip in tips(tree)), "the field's term beside the plain word"


def test_the_card_in_german(card) -> None:
    text = text_of(health.build_health({**card, "converged": False}, Words("de")))
    assert "Merkmalsfaktor −1 schiebt zu F" in text
    assert "Korrelation 0.998 ,  nicht konvergiert" in text


def test_what_is_not_known_is_said(card, words) -> None:
    unknown = {"strengthening_feature_factor": {}, "memory": {"needed": None, "free": None}, "converged": None}
    text = text_of(health.build_health({**card, **unknown}, words))
    assert "not known" in text and "unknown of unknown free" in text and "converged" not in text
    short = text_of(health.build_health({**card, "memory": {"needed": 2 * 2**30, "free": 2**30}}, words))
    assert "2.00 GB of 1.00 GB free: may not fit" in short


def test_a_direction_that_is_not_known_says_why_beside_what_is_known(card, words) -> None:
    values = {"file": "gradiend_context.json", "classes": "M", "sign": "+1"}
    why = {"what": "undirected_stated_one", "sentence": "engine", "values": values}
    shown = {**card, "strengthening_feature_factor": {"M": 1.0}, "assumed": [why]}
    text = text_of(health.build_health(shown, words))
    assert "feature factor +1 pushes towards M not known" in text and "pushes towards F" not in text
    assert "gradiend_context.json gives only M a direction (+1)." in text
    assert "The direction is not known: choose it" in text_of(health.build_assumed(shown, words))
    more = [why, {"what": "neutral_rows", "sentence": "", "values": {}}]
    assert "2 things assumed" in text_of(health.build_assumed({**shown, "assumed": more}, words))


def test_who_leaves_the_direction_open_is_not_asked_again(card) -> None:
    shown = {**card, "missing": ["direction", "rows"]}
    assert questions.next_question(shown, {}).what == "direction"
    assert questions.next_question(shown, {}, left_open=True).what == "rows"
    assert questions.next_question(shown, {"spec": {"rows": {"path": "x"}}}, left_open=True).what == ""


def test_the_seeds_of_a_run_are_told_and_opened(card, words) -> None:
    tree = health.build_health({**card, "seeds": SEEDS}, words)
    text = text_of(tree)
    assert "0: 0.410, not converged, weights not kept" in text
    assert "1: 0.980, best, open" in text
    assert picks(tree) == ["2"], "only another seed with weights can be opened"
    assert "seeds" not in text_of(health.build_health(card, words))


def test_rows_of_the_run_are_counted(card, words) -> None:
    assert "24 recovered from the run" in text_of(health.build_health({**card, "rows_recovered": 24}, words))


def test_one_note_is_read_at_once_and_several_are_behind_one_line(card, words) -> None:
    def shown(*notes: str) -> str:
        return json.dumps(health.build_health({**card, "notes": list(notes)}, words))

    assert "Directions were guessed." in shown("Directions were guessed.") and "summary" not in shown("One.")
    assert "2 notes on this checkpoint" in shown("One.", "Two.") and "summary" in shown("One.", "Two.")
    assert "on this checkpoint" not in shown()


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_assumption_has_its_sentence_and_its_corrections(card, language: str) -> None:
    words = Words(language)
    values: dict[str, object] = {"source": "factual", "seed": 3, "base": "b", "stated": "s", "count": 5}
    values |= {"means": "M +0.1", "step": "4", "file": "f", "classes": "M", "sign": "+1", "told": "M +1"}
    items = [{"what": what, "sentence": "engine", "values": values} for what in health.CORRECTIONS]
    tree = health.build_assumed({**card, "assumed": items}, words)
    assert "engine" not in text_of(tree)
    assert set(picks(tree)) == {name for names in health.CORRECTIONS.values() for name in names}
    unknown = [{"what": "new", "sentence": "The engine says so.", "values": {}}]
    assert "The engine says so." in text_of(health.build_assumed({**card, "assumed": unknown}, words))


def test_data_of_ones_own_makes_an_assumption_pointless(card, words) -> None:
    items = [{"what": what, "sentence": "", "values": {"count": 5}} for what in ("rows_recovered", "neutral_rows")]
    shown = {**card, "assumed": items}
    assert "2 things assumed" in text_of(health.build_assumed(shown, words))
    assert questions.own_codes({"spec": {"neutral_set": "none"}}) == ["neutral_recovered"]
    assert questions.own_codes({"spec": {"neutral_set": "recovered"}}) == questions.own_codes({}) == []
    own = questions.own_codes({"spec": {"neutral": {"path": "x"}}})
    text = text_of(health.build_assumed(shown, words, own))
    assert "1 thing assumed" in text and "neutral" not in text
    assert health.build_assumed(shown, words, [*own, "rows_recovered"])["attributes"] == {"hidden": "hidden"}


def test_every_objective_and_source_has_plain_words() -> None:
    from gradiend_ui.engine.base.objectives import OBJECTIVES
    from gradiend_ui.engine.values import SOURCES

    wanted = [f"load.objective_{name}" for name in OBJECTIVES if not OBJECTIVES[name].scored_as]
    for key in [*wanted, *(f"load.source_{name}" for name in SOURCES)]:
        for language in ("en", "de"):
            assert {key, f"{key}_help"} <= set(texts_of(language))


def test_every_assumption_of_the_engine_is_known_here() -> None:
    engine = Path(__file__).parents[2] / "gradiend_ui" / "engine"
    source = (engine / "worker" / "health_card.py").read_text()
    told = {line.split('(("')[1].split('"')[0] for line in source.splitlines() if 'append(("' in line}
    source = (engine / "checkpoint" / "direction.py").read_text()
    told |= set(re.findall(r'DirectionNote\(\s*"(\w+)"', source))
    told |= {f"undirected_{what}" for what in re.findall(r'_open\("(\w+)"', source)}
    of_two = {"undirected_zero_mean", "undirected_same_sign"}
    assert told | of_two | {"undirected_older"} == set(health.CORRECTIONS)
    assert {"undirected_silent", "undirected_stated_one"} <= told


# --- finished sweeps --------------------------------------------------------------------------------------------------


def test_every_finished_sweep_is_offered_until_it_is_open(card, words) -> None:
    other = {**SWEEP, "file": "model/decoder_grid_cache.json", "cells": 1, "goal": None, "part": "decoder-sum"}
    both = {**card, "finished_sweeps": [SWEEP, other]}
    tree = health.build_finished(both, None, words)
    assert "32 cells, strengthen F and M, split test, by gradiend" in text_of(tree)
    assert "1 cell, scores of F and M, split test, part decoder-sum, by gradiend" in text_of(tree)
    assert picks(tree) == [SWEEP["file"], other["file"]]
    assert picks(health.build_finished(both, SWEEP["file"], words)) == [other["file"]]
    assert picks(health.build_finished(card, None, words)) == []
    assert load.opened_file({"imported": IMPORTED}) == SWEEP["file"]
    assert load.opened_file({"imported": None}) is None and load.opened_file(None) is None


def test_opening_gives_the_run(session) -> None:
    assert load.open_finished(session, "ck-1", SWEEP["file"])["run"] == "run-1"
    assert session.calls[-1] == ("open_finished", "ck-1", {"file": SWEEP["file"]})
    with pytest.raises(NotFound, match="no model yet"):
        load.open_finished(session, "")


# --- questions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("missing", "row_classes", "classes", "chosen", "what"),
    [
        ([], ["F", "M"], ["M", "F"], {}, ""),
        (["neutral"], ["F", "M"], ["M", "F"], {}, ""),
        (["direction", "rows"], [], ["M", "F"], {}, "direction"),
        (["direction", "rows"], [], [], {}, "rows"),
        (["direction", "rows"], [], [], {"spec": {"rows": {"path": "x"}}}, "direction"),
        (["rows"], [], ["M", "F"], {}, "rows"),
        (["rows"], [], ["M", "F"], {"spec": {"rows": {"path": "x"}}}, ""),
    ],
)
def test_missing_pieces_are_asked_one_at_a_time(card, missing, row_classes, classes, chosen, what) -> None:
    shown = {**card, "missing": missing, "row_classes": row_classes, "classes": classes}
    assert questions.next_question(shown, chosen).what == what


def built(words: Words, allows_paths: bool = True) -> load.LoadWidgets:
    """The step's widgets, made inside a running event loop: outside of one, Gradio makes loops that nobody closes."""
    import gradio as gr

    async def build() -> load.LoadWidgets:
        with gr.Blocks():
            return load.build(words, allows_paths)

    return asyncio.run(build())


def test_a_question_shows_its_own_fields_only(card, words) -> None:
    build = built(words)
    names = [getattr(widget, "elem_id", None) for widget in questions.outputs(build.question)]

    def visible(asked: Asked, of: Any) -> set[str]:
        values = questions.shown(asked, of, words)
        assert len(values) == len(names)
        updates = zip(names, values, strict=True)
        return {str(name) for name, value in updates if isinstance(value, dict) and value.get("visible")}

    assert visible(Asked(), card) == set()
    assert visible(Asked(questions.BASE, "why"), None) == {"load-question", "ask-base", "ask-go"}
    assert visible(Asked(questions.DIRECTION), card) == {"load-question", "ask-go"}
    nobody = {**card, "row_classes": [], "classes": []}
    typed = {"load-question", "ask-plus", "ask-minus", "ask-go"}
    assert visible(Asked(questions.DIRECTION), nobody) == typed
    assert visible(Asked(questions.ROWS), card) == {"load-question", "ask-rows"}
    assert "why" in text_of(questions.build_asked(Asked(questions.BASE, "why"), words))


def test_of_two_classes_the_other_takes_the_opposite_sign(words) -> None:
    draft = questions.picked_sign({"F": None, "M": None}, json.dumps(["F", 1]))
    assert draft == {"F": 1.0, "M": -1.0}
    assert questions.picked_sign(draft, json.dumps(["M", 1])) == {"F": -1.0, "M": 1.0}
    assert questions.picked_sign(draft, json.dumps(["X", 1])) == draft, "a class that is not asked for"
    assert questions.picked_sign(draft, json.dumps(["F", 5])) == draft, "no sign"
    three = questions.picked_sign({"A": None, "B": 1.0, "C": None}, json.dumps(["A", -1]))
    assert three == {"A": -1.0, "B": 1.0, "C": None}
    assert questions.directions(three, "", "", words) == {"A": -1.0, "B": 1.0, "C": 0.0}
    pressed = text_of(questions.build_signs(draft, words))
    assert pressed == "F +1 neither −1 M +1 neither −1"


def test_typed_class_names_are_directions(words) -> None:
    assert questions.directions({}, " she ", "he", words) == {"she": 1.0, "he": -1.0}
    for plus, minus in (("she", ""), ("", "he"), ("he", "he")):
        with pytest.raises(BadGrid, match="at least two classes"):
            questions.directions({}, plus, minus, words)
    with pytest.raises(BadGrid, match="at least two classes"):
        questions.directions({"F": 1.0, "M": 1.0}, "", "", words)


# --- sources ----------------------------------------------------------------------------------------------------------


def test_what_is_pending_is_loaded_with_its_base(session) -> None:
    load.load_card(session, {"source": "demo", "base": " ~/base "})
    assert session.calls[-1] == ("load", "demo", {"base_model": "~/base"})
    load.load_card(session, {"source": "  "})
    assert session.calls[-1] == ("load", "demo", {})


def test_a_failure_keeps_the_model_that_is_open(words) -> None:
    widgets = built(words)
    kept = load.failed(widgets, "It is broken.", True, words)
    assert set(kept) == {widgets.note, widgets.more}
    assert "It is broken." in text_of(kept[widgets.note]) and "still open" in text_of(kept[widgets.note])
    first = load.failed(widgets, "It is broken.", False, words)
    assert "It is broken." in text_of(first[widgets.health])
    asked = load.asked_for_base(widgets, {"source": "x"}, BadBase("No base."), True, words)
    assert asked[widgets.pending] == {"source": "x"} and widgets.health not in asked
    assert widgets.source not in asked, "what was typed stays"


def test_a_base_that_was_found_and_refused_is_not_asked_for_as_if_it_were_lost(words) -> None:
    widgets = built(words)
    lost = BadBase("config.json names no base model.")
    broken = BadBase("It is quantized.").known_as("load.base_quantized", name="'base'", how="int8")
    for error, headline, other in ((lost, "Where is", "was found"), (broken, "was found and cannot", "Where is")):
        asked = load.asked_for_base(widgets, {"source": "x"}, error, True, words)
        text = text_of(asked[widgets.question.asked])
        assert headline in text and other not in text and words.of(error) in text
        assert ("not inside its own files" in text) == (error is lost)
    public = text_of(load.refused_base(widgets, broken, True, words)[widgets.note])
    assert "was found and cannot be used" in public and "is quantized (int8)" in public and "folder" not in public
    assert "was found" not in text_of(load.refused_base(widgets, lost, True, words)[widgets.note])


def test_loading_says_what_happens(words) -> None:
    text = text_of(health.build_loading(words))
    assert "A big model takes a while" in text and "load its base model" in text


class ScriptedWorker:
    def __init__(self) -> None:
        self.asked: list[Any] = []

    def ask(self, request: Any) -> Any:
        self.asked.append(request)
        return {"checkpoint": "ck-2"}


def uploads(tmp_path: Path, public: bool = False) -> tuple[Uploads, ScriptedWorker]:
    worker = ScriptedWorker()
    return Uploads(Shared(Store(tmp_path / "runs.sqlite"), worker, tmp_path, public)), worker  # type: ignore[arg-type]


def zipped_run(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("run/config.json", '{"architecture": {"input_dim": 2, "latent_dim": 1}, "mapping": {}}')
        archive.writestr("run/model.safetensors", "x")
    return path


def test_an_upload_is_named_by_its_zip(tmp_path: Path) -> None:
    part, worker = uploads(tmp_path)
    path = zipped_run(tmp_path / "x/my run.zip")
    home = tmp_path / "uploads" / sha256(path.read_bytes()).hexdigest()
    assert part.unpack(str(path)) == {"source": str(home / "run"), "name": "my run"}
    assert worker.asked == [], "a process of its own unpacks it"
    source = str(tmp_path / "uploads" / "abc" / "run")
    assert part.load(source, "my run", {"base_model": "b"}) == "ck-2"
    assert worker.asked[-1] == Load(source, {"base_model": "b"}, "my run", kept=LOCAL.kept_loads)
    for elsewhere in ("/etc", str(tmp_path / "uploads" / ".." / "runs.sqlite")):
        with pytest.raises(NotAllowed, match="uploaded here"):
            part.load(elsewhere, "x")


def test_a_public_server_takes_zips_and_reads_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "from-browsers"))
    part, worker = uploads(tmp_path, public=True)
    for action in (
        lambda: part.unpack("/tmp/x.zip"),
        lambda: part.unpack(str(tmp_path / "from-browsers" / ".." / "x.zip")),
        lambda: part.load(str(tmp_path / "uploads"), "x"),
        lambda: part.load("/etc", "x"),
        lambda: part.reload("ck-1", {"base_model": "/etc"}),
    ):
        with pytest.raises(NotAllowed):
            action()
    assert worker.asked == []
    assert part.reload("ck-1", {"swap": True}) == "ck-2"
    path = zipped_run(tmp_path / "from-browsers" / "x.zip")
    assert was_taken_in(Path(part.unpack(str(path))["source"]).parent, strangers=True)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("run/seeds/seed_1/pytorch_model.bin", "x")
    with pytest.raises(NotAllowed, match="pickled"):
        part.unpack(str(path))


def test_a_public_page_offers_demos_and_zips_but_no_path(words) -> None:
    widgets = built(words, False)
    hidden = (widgets.source, widgets.base, widgets.load)
    assert [widget.visible for widget in hidden] == [False] * 3 and widgets.demo.visible and widgets.zip.visible


def test_base_errors_are_their_own_kind() -> None:
    """What the question for the base is asked for: only this refusal, not every one."""
    assert BadBase.code == "bad_base" and not issubclass(BadCheckpoint, BadBase)
