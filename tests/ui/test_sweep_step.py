"""Step Sweep: the form, the spec, what the lists are read as, the estimate and its notes, the buttons."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from gradiend_ui.engine.errors import BadGrid, NotAllowed, TooLarge
from gradiend_ui.engine.sweep.spec import AskedSweep
from gradiend_ui.ui.grid import board
from gradiend_ui.ui.kit.tree import text_of
from gradiend_ui.ui.kit.viewer import Viewers
from gradiend_ui.ui.kit.words import Words
from gradiend_ui.ui.listeners import sweep as wiring
from gradiend_ui.ui.page.following import order_of
from gradiend_ui.ui.sweep import control, lists, panel
from gradiend_ui.ui.sweep import form as sweep
from gradiend_ui.ui.sweep.estimate import build_estimate
from gradiend_ui.ui.sweep.panel import Threshold, snapped

FORM = sweep.Form(
    target_class="F",
    class_list=None,
    goal="strengthen",
    winner_goal="strengthen",
    policy="lms_threshold",
    ratio=0.99,
    any_feature_factor=False,
    preset="default",
    typed_factors="-1",
    typed_rates="0.2; 0.1, 0.1",
    part="decoder",
    token_boundary="reference",
    arithmetic="float32",
    winner_only=False,
    again=True,
)
TYPED = replace(FORM, preset="typed")
DATA = {"spec": {"neutral_set": "pronoun-free"}}


def axes(form: sweep.Form, card: dict[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    grid = sweep.read_grid(form, card)
    return grid.feature_factors, grid.learning_rates


def test_every_preset_is_a_grid(card) -> None:
    assert axes(TYPED, card) == ((-1.0,), (0.1, 0.2))
    assert axes(FORM, card) == ((-1.0, 1.0), (0.1, 0.2, 0.5))
    assert len(axes(replace(FORM, preset="dense"), card)[0]) == 5
    quick = replace(FORM, preset="quick")
    assert axes(quick, card)[0] == (-1.0,) and len(axes(quick, card)[1]) == 6
    assert axes(replace(quick, goal="weaken"), card)[0] == (1.0,)
    assert axes(replace(quick, goal="both"), card)[0] == (-1.0, 1.0)
    assert axes(replace(TYPED, preset="fine", typed_factors="-1:1:3", typed_rates="-0.1, 0"), card) == (
        (-1.0, 0.0, 1.0),
        (-0.1, 0.0),
    )


def test_a_grid_that_cannot_be_is_refused_in_a_sentence(card) -> None:
    with pytest.raises(BadGrid, match="no winner to look around yet"):
        sweep.read_grid(replace(FORM, preset="fine", typed_factors="", typed_rates=""), card)
    with pytest.raises(BadGrid, match="no class 'X' for a quick grid; the classes are M, F"):
        sweep.read_grid(replace(FORM, preset="quick", target_class="X"), card)
    with pytest.raises(TooLarge, match="at most 10,000"):
        sweep.read_grid(replace(TYPED, typed_factors="0:1:101", typed_rates="0:1:100"), card)
    with pytest.raises(BadGrid, match="'x' among the learning rates"):
        sweep.read_grid(replace(TYPED, typed_rates="x"), card)


def test_the_winners_goal_is_the_sweeps_unless_both_are_swept() -> None:
    assert sweep.read_options(replace(FORM, goal="weaken"))["goal"] == "weaken"
    assert sweep.read_options(replace(FORM, goal="both"))["goal"] == "strengthen"
    assert sweep.read_options(replace(FORM, goal="both", winner_goal="weaken"))["goal"] == "weaken"
    assert sweep.read_options(replace(FORM, goal="strengthen", winner_goal="weaken"))["goal"] == "strengthen"


def test_start_sends_the_spec_and_gives_the_run_with_its_key(session) -> None:
    page = FakePage(session)
    assert wiring.start_sweep(page, "ck-1", FORM, DATA) == ("run-1", "key-of-run-1")  # type: ignore[arg-type]
    assert session.calls[-1] == (
        "start_sweep",
        "ck-1",
        AskedSweep.of(
            {
                "goal": "strengthen",
                "feature_factors": [-1.0, 1.0],
                "learning_rates": [0.1, 0.2, 0.5],
                "part": "decoder",
                "again": True,
                "neutral_set": "pronoun-free",
            }
        ),
    )
    with pytest.raises(BadGrid, match="Load the demo"):
        wiring.start_sweep(page, "", FORM, DATA)  # type: ignore[arg-type]


class FakePage:
    """What the plain functions of the wiring need of a page."""

    def __init__(self, session: Any, words: Words | None = None) -> None:
        self.session, self.words = session, words or Words("en")


def test_the_spec_tells_goal_part_boundary_and_class_where_they_matter(card) -> None:
    form = replace(FORM, goal="both", part="decoder-bias", token_boundary="natural")
    spec = sweep.asked_sweep(form, DATA, card).spec
    assert (spec.goal, spec.part, spec.token_boundary) == ("both", "decoder-bias", "reference")
    causal = sweep.asked_sweep(form, DATA, {**card, "two_boundaries": True}).spec
    assert causal.token_boundary == "natural"
    assert sweep.asked_sweep(replace(FORM, preset="quick"), DATA, card).spec.target_classes == ("F",)


def test_presets_write_their_grid_into_the_lists(session, card) -> None:
    page = FakePage(session)

    def written(form: sweep.Form, run: str = "") -> tuple[str, str]:
        found = wiring.with_lists(page, "ck-1", run, form)  # type: ignore[arg-type]
        return found.typed_factors, found.typed_rates

    assert written(FORM) == ("-1, 1", "0.1, 0.2, 0.5")
    assert written(TYPED) == (TYPED.typed_factors, TYPED.typed_rates)
    assert written(replace(FORM, preset="fine")) == ("", "")
    factors, rates = written(replace(FORM, preset="fine"), "run-1")
    assert factors == "-1.5, -1, -0.5"
    assert rates.startswith("0.1, ") and " 0.2, " in rates and rates.endswith(", 0.5")


def test_a_list_is_read_back(words) -> None:
    def read(text: str) -> str:
        return text_of(lists.build_read_back(text, "learning rates", words))

    assert read("0.01:1:9 log") == "9 values: 0.01, 0.0178, 0.0316, 0.0562, 0.1, …, 1"
    assert read("-1, 0, 0.5") == "3 values: −1, 0, 0.5"
    assert read("2") == "1 value: 2"
    assert "(0.1 was given twice and counts once)" in read("0.1, 0.1, 0.2")
    bad = lists.build_read_back("0.1, x", "learning rates", words)
    assert "is not a number" in text_of(bad) and bad["attributes"]["role"] == "alert"


def test_a_range_is_written_for_people_who_type_no_syntax() -> None:
    assert lists.written_range(0.01, 1, 9, "logarithmic") == "0.01:1:9 log"
    assert lists.written_range(-2, 2, 9.0, "even") == "-2:2:9"
    for values, sentence in (
        ((None, 1, 9, "even"), "two ends"),
        ((0, 1, 2.5, "even"), "whole number"),
        ((-1, 1, 5, "logarithmic"), "cross zero"),
        ((0, 1, 1, "even"), "at least 2"),
    ):
        with pytest.raises(BadGrid, match=sentence):
            lists.written_range(*values)


def test_the_estimate_counts_cells_and_time(card, words) -> None:
    def estimate(data: dict[str, Any] = DATA, known: int = 0) -> str:
        return text_of(build_estimate(FORM, data, card, words, lambda spec: known))

    assert estimate() == "6 cells (2 × 3), about 0:03"
    assert estimate(data={**DATA, "seconds_per_cell": 10.0}) == "6 cells (2 × 3), about 1:00"
    assert estimate(known=4) == "6 cells (2 × 3): 4 known, 2 new, about 0:01"
    assert estimate(known=6) == "6 cells (2 × 3), all known: no waiting"
    assert text_of(build_estimate(FORM, DATA, None, words)) == "Load a model first."
    assert "time not known" in text_of(build_estimate(FORM, DATA, {**card, "seconds_per_cell": None}, words))


def test_a_refusal_stands_under_its_list_or_in_the_estimate(card, words) -> None:
    bad = replace(TYPED, typed_rates="x")
    assert text_of(build_estimate(bad, DATA, card, words)) == words("sweep.unreadable")
    large = build_estimate(replace(TYPED, typed_factors="0:1:101", typed_rates="0:1:100"), DATA, card, words)
    assert "10,100 cells" in text_of(large) and large["attributes"]["role"] == "alert"
    lost = replace(FORM, preset="fine", typed_factors="", typed_rates="")
    assert "no winner to look around yet" in text_of(build_estimate(lost, DATA, card, words))


def test_notes_say_what_the_grid_cannot_answer(card, words) -> None:
    def notes(form: sweep.Form) -> str:
        return text_of(build_estimate(form, DATA, card, words))

    dense = replace(FORM, preset="dense")
    assert "3 of 5 rows cannot win for any class or goal" in notes(dense)
    assert "can win" not in notes(replace(dense, any_feature_factor=True))
    assert "weakening F takes feature factor +1" in notes(replace(TYPED, goal="weaken"))
    assert "No row can win: strengthening F takes feature factor −1" in notes(replace(TYPED, typed_factors="0.5"))
    assert "all rows will show the same numbers" in notes(replace(FORM, part="decoder-bias"))
    assert "can win" not in notes(replace(TYPED, typed_factors="-1"))


def test_without_a_direction_a_grid_takes_both_signs_and_says_so(card, words) -> None:
    unknown = {**card, "strengthening_feature_factor": {}}
    quick = replace(FORM, preset="quick")
    for goal in ("strengthen", "weaken", "both"):
        assert axes(replace(quick, goal=goal), unknown)[0] == (-1.0, 1.0)

    def notes(form: sweep.Form) -> str:
        return text_of(build_estimate(form, DATA, unknown, words))

    assert "towards F is not known: the winner is the best cell of both signs" in notes(quick)
    assert "this grid tries one sign only: add the other" in notes(replace(TYPED, typed_factors="0, 1"))
    assert "not known" not in notes(replace(quick, any_feature_factor=True))


def test_buttons_follow_the_state(words) -> None:
    def enabled(state: str) -> list[bool]:
        return [update["interactive"] for update in panel.button_states(state, True, words)]

    assert enabled("") == [True, False, False, False]
    assert enabled("running") == [False, True, False, True]
    assert enabled("paused") == [True, False, True, True]
    assert enabled("interrupted") == [True, False, True, False]
    assert enabled("finished") == [True, False, False, False]


@pytest.mark.parametrize("state", ["", "queued", "running", "paused", "stopped", "interrupted", "finished", "failed"])
def test_who_watches_can_only_start_a_sweep_of_their_own(words, state: str) -> None:
    start, *others = panel.button_states(state, True, words, controls=False)
    assert not any(update["interactive"] for update in others)
    assert start == panel.button_states(state, True, words)[0]


def test_a_page_is_told_what_it_is_to_its_sweep(words) -> None:
    watcher = control.build_role("watcher", "run-1", words)
    assert text_of(watcher).startswith(
        "You are watching: only who started this sweep can pause, stop, rename or delete"
    )
    assert "has no key" in text_of(control.build_role("keyless", "run-1", words))
    holder = text_of(control.build_role("holder", "run-1", words))
    assert "Copy watch link" in holder and "Copy control link" in holder
    for role in ("owner", ""):
        assert control.build_role(role, "run-1", words) == control.build_nothing()
    assert [update["visible"] for update in (control.shown_values(role, "r", words)[2] for role in
            ("watcher", "keyless", "holder", "owner", ""))] == [True, False, False, False, False]  # fmt: skip


def test_the_question_before_stopping_counts_the_others(words) -> None:
    assert "1 other is watching. Stop for all?" in text_of(control.build_question(1, words))
    assert "3 others are watching. Stop for all?" in text_of(control.build_question(3, words))


def test_a_pasted_link_is_read(words) -> None:
    for pasted in ("http://h:7860/?run=r1#key=k-1", " https://h/de?a=b&run=r1#key=k-1 ", "/#key=k-1", "k-1"):
        assert control.key_in(pasted, "r1", words) == "k-1"
    for pasted in ("", "   ", None, 5, ["x"], "x" * 5000, "http://h/?run=r1", "http://h/?run=r2#key=k-1",
                   "http://h/?run=r1#step-load", "http://[/?run=r1#key=k"):  # fmt: skip
        for told_in in (words, Words("de")):
            with pytest.raises(NotAllowed) as told:
                control.key_in(pasted, "r1", told_in)
            assert "k-1" not in str(told.value) and "start_sweep" not in str(told.value)
            assert ("Steuerlink" in str(told.value) or "anderen" in str(told.value)) == (told_in is not words)


def test_a_pasted_text_is_told_with_its_own_length(words) -> None:
    with pytest.raises(NotAllowed, match="The 1,500 letters that you pasted are no control link and no key"):
        control.key_in("A" * 1500, "r1", words)


def test_a_key_that_does_not_fit_is_said_to_who_watches(words) -> None:
    plain, unfit = (control.build_role("watcher", "run-1", words, unfit=unfit) for unfit in (False, True))
    assert "does not fit this sweep" in text_of(unfit) and '"alert"' in json.dumps(unfit)
    assert "does not fit" not in text_of(plain) and text_of(plain) in text_of(unfit)
    for role in ("owner", "", "holder", "keyless"):
        assert control.build_role(role, "r", words, unfit=True) == control.build_role(role, "r", words)
    german = text_of(control.build_role("watcher", "run-1", Words("de"), unfit=True))
    assert "passt nicht zu diesem Durchlauf" in german and "fit" not in german


def test_a_run_finds_its_preset_again(session, card) -> None:
    spec = session.run_info("run-1")["spec"]
    assert sweep.preset_of(spec, card) == "default"
    assert sweep.preset_of({**spec, "learning_rates": [3.0]}, card) == "typed"


def shown(values: dict[str, Any], name: str, key: str = "value") -> Any:
    """What an update sets."""
    return values[name][key]


def test_a_run_fills_the_form_as_it_was_started(session, card, words) -> None:
    spec = {**session.run_info("run-1")["spec"], "goal": "both", "part": "decoder-bias", "learning_rates": [1 / 3]}
    values = panel.form_values(card, spec, words)
    assert shown(values, "goal") == "both" and shown(values, "winner_goal", "visible") is True
    assert (shown(values, "preset"), shown(values, "typed_rates")) == ("typed", repr(1 / 3))
    assert shown(values, "group", "visible") is True and shown(values, "part") == "decoder-bias"
    fresh = panel.form_values(card, None, words)
    assert shown(fresh, "goal") == "strengthen" and shown(fresh, "winner_goal", "visible") is False
    assert shown(fresh, "group", "visible") is False


def test_many_classes_are_a_list_to_choose_from(card, words) -> None:
    few = panel.form_values(card, None, words)
    assert (shown(few, "target_class"), shown(few, "class_list")) == ("F", None)
    many = panel.form_values({**card, "classes": ["a", "b", "c", "d", "e"]}, None, words)
    assert (shown(many, "target_class"), shown(many, "class_list")) == (None, "e")
    assert shown(many, "class_list", "visible") is True and shown(many, "target_class", "visible") is False
    assert replace(FORM, target_class=None, class_list="e").asked_class == "e"


def test_what_does_not_apply_is_not_offered(card, words) -> None:
    masked = panel.form_values(card, None, words)
    causal = panel.form_values({**card, "two_boundaries": True}, None, words)
    assert shown(masked, "token_boundary", "visible") is False and shown(causal, "token_boundary", "visible") is True
    wide = panel.form_values({**card, "latent_dim": 2}, None, words)
    names = [value for _, value in shown(wide, "part", "choices")]
    assert names == ["decoder", "decoder-bias", "decoder-sum"]


def test_every_field_is_explained(words) -> None:
    for key in panel.EXPLAINED.values():
        assert len(words.help(key)) > 30 and len(Words("de").help(key)) > 30


def test_a_threshold_out_of_range_is_the_one_that_the_box_snaps_to() -> None:
    assert [snapped(x) for x in (2, 0.95, 0.5, None)] == [1.0, 0.95, 0.9, 0.99]
    slider = Threshold(0.9, 1.0, 0.99)
    assert slider.preprocess(2) == 1.0
    assert slider.get_block_name() == "slider"


def test_numbers_and_the_search_for_the_best_are_in_the_spec(card) -> None:
    plain = sweep.asked_sweep(FORM, DATA, card).spec
    assert (plain.precision, plain.first_look, plain.winner_only) == ("float32", "same", False)
    look = sweep.asked_sweep(replace(FORM, arithmetic="look_bfloat16"), DATA, card).spec
    assert (look.first_look, look.precision) == ("bfloat16", "float32")
    assert sweep.asked_sweep(replace(FORM, arithmetic="bfloat16"), DATA, card).spec.precision == "bfloat16"
    search = sweep.asked_sweep(replace(FORM, winner_only=True, ratio=0.95), DATA, card).spec
    assert (search.winner_only, search.winner_ratio) == (True, 0.95)
    for form in (FORM, replace(FORM, arithmetic="look_bfloat16"), replace(FORM, arithmetic="bfloat16")):
        assert sweep.arithmetic_of(sweep.asked_sweep(form, DATA, card).as_json()) == form.arithmetic


def test_a_search_is_shown_with_the_threshold_that_it_was_for(session, card, words) -> None:
    spec = {**session.run_info("run-1")["spec"], "winner_only": True, "winner_ratio": 0.95, "precision": "bfloat16"}
    values = panel.form_values(card, spec, words)
    assert (shown(values, "winner_only"), shown(values, "ratio"), shown(values, "arithmetic")) == (
        True,
        0.95,
        "bfloat16",
    )
    assert sweep.first_options(card, spec)["ratio"] == 0.95
    assert sweep.first_ratio({**spec, "winner_ratio": 0.5}) == 0.9, "the slider's lowest"
    fresh = panel.form_values(card, None, words)
    assert (shown(fresh, "winner_only"), shown(fresh, "ratio"), shown(fresh, "arithmetic")) == (False, 0.99, "float32")


def test_the_estimate_of_a_search_is_a_limit_and_of_rounded_numbers_a_comparison(card, words) -> None:
    def estimate(form: sweep.Form) -> str:
        return text_of(build_estimate(form, DATA, card, words))

    assert estimate(replace(FORM, winner_only=True)) == "6 cells (2 × 3), at most 0:03"
    assert estimate(replace(FORM, arithmetic="bfloat16")) == "6 cells (2 × 3), about 0:03 if it were float32"
    assert "its own first look" in estimate(replace(FORM, winner_only=True, arithmetic="look_bfloat16"))
    assert "its own first look" not in estimate(replace(FORM, arithmetic="look_bfloat16"))


def test_the_grid_that_is_described_does_not_take_the_place_of_a_sweep_that_was_started_meanwhile(
    session, words
) -> None:
    widgets = board.BoardWidgets(*[None] * 6)
    page: Any = SimpleNamespace(session=session, viewers=Viewers(), words=words, board=widgets)

    def asked(nth: float, run: str = "") -> list[Any]:
        return wiring.preview(page, wiring.Asking((0, nth), "mine", "ck-1", run), FORM)

    [older, *_] = asked(9.0)
    page.viewers.forget("mine")
    described, again = asked(1.0), asked(2.0)
    before = page.viewers.get("mine")
    assert described[0]["order"] > older["order"], "a page that was forgotten meanwhile is answered all the same"
    assert [value["order"] for value in described] == [[before.version, 1.0]] * 5
    assert again[0]["order"] > described[0]["order"]
    assert all("__type__" in value for value in asked(3.0, "run-1"))
    started = page.viewers.change("mine", run="run-1")
    assert all("__type__" in value for value in asked(3.0)), "asked before the page knew of its run"
    assert [started.version, 0] > again[0]["order"]


@pytest.mark.parametrize(
    ("said", "number"),
    [("12.5", 12.5), (3, 3.0), ("", 0.0), (None, 0.0), ("x", 0.0), ("nan", 0.0), ("1e999", 0.0), ([1], 0.0)],
)
def test_a_question_has_an_order_whatever_is_sent(said, number: float) -> None:
    page: Any = SimpleNamespace(viewers=Viewers())
    request: Any = SimpleNamespace(session_hash="mine")
    before = order_of(page, request, said)
    assert before == (page.viewers.get("mine").opened, number)
    page.viewers.open("mine", "", {})
    assert order_of(page, request, "0") > before, "what another model was asked is newer"
