"""Values that are far too long: each refusal quotes their beginning, and its end with what is accepted is there.

And typed numbers in digits of other scripts, which are read nowhere: neither as a port nor in a list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from gradiend_ui.engine.data.neutral_texts import read_neutral
from gradiend_ui.engine.errors import BadData, BadGrid, GradiendUIError
from gradiend_ui.engine.sweep.axes import read_axis
from tests.security.test_file_values import told
from tests.support.served import Served, ask, served

BIG = "A" * 20_000
ANY = {"feature_factors": [-1.0], "learning_rates": [0.1]}
ACCEPTED = {
    "goal": "strengthen", "policy": "lms_threshold", "part": "decoder", "token_boundary": "natural", "top_k": "50",
    "precision": "bfloat16", "first_look": "off", "dtype": "float16", "target_class": "F", "split": "'all'",
    "winner_only": "true or false", "rev": "whole number", "winner_ratio": "number", "target_classes": "F",
}  # fmt: skip
"""What the sentence must still say of an option that a long text came for."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("long") / "data") as server:
        yield server


def spec(**options: Any) -> dict[str, Any]:
    return {**ANY, **options}


def calls(run: str, checkpoint: str) -> Iterator[tuple[str, str, list[Any]]]:
    """(option, function, values); "" where nothing is to choose from."""
    cell = {"feature_factor": -1.0, "learning_rate": 0.1}
    for name in ("goal", "part", "token_boundary", "precision", "first_look", "split", "winner_only", "winner_ratio"):
        yield name if name != "split" else "", "start_sweep", [checkpoint, spec(**{name: BIG})]
    for name in ("split", "winner_only", "target_classes"):
        yield name if name != "target_classes" else "", "start_sweep", [checkpoint, spec(**{name: [BIG]})]
    for name in ("goal", "policy", "target_class", "any_feature_factor", BIG):
        yield name if name in ACCEPTED else "", "select", [run, {name: BIG}]
    for name in ("goal", "policy", "target_class", "dtype", "part"):
        yield name, "export", [run, {**cell, "target_class": "F", name: BIG}]
    yield "target_classes", "export", [run, {"target_classes": [BIG]}]
    for name in ("top_k", "skip_bad", "continuation", BIG):
        yield name if name in ACCEPTED else "", "compare", [run, [], ["a [MASK]"], {name: BIG}]
    yield "rev", "cells", [run, BIG]
    yield "rev", "cells", [run, 10**4000]
    for options in (
        {BIG: 1}, {"targets": {BIG: [BIG]}}, {"targets": {BIG: 5}}, {"targets": BIG},
        {"rows": [{"a": 1}], "columns": {BIG: BIG}},
        {"rows": [{"a": 1}], "columns": BIG}, {"rows": [{BIG: BIG}]}, {"neutral": [5, BIG]}, {"feature_factors": [BIG]},
        {"feature_factors": BIG}, {"max_rows": BIG}, {"neutral_set": BIG}, {"again": BIG},
    ):  # fmt: skip
        yield "", "start_sweep", [checkpoint, {**ANY, **options}]
    for options in ({"seed": BIG}, {BIG: 1}, {"encoding_direction": {BIG: 1}}, {"encoding_direction": {"F": BIG}}):
        yield "", "load", ["demo", options]
    yield "", "open_finished", [checkpoint, {"file": BIG}]
    yield "", "export", [run, {**cell, "name": BIG}]
    yield "", "export", [run, {**cell, "kind": BIG}]
    yield "", "compare", [run, [{**cell, BIG: 1}], ["a"], {"top_k": BIG}]


def test_a_long_value_is_quoted_by_its_beginning(server: Served) -> None:
    checkpoint = ask(server, "load", "demo", {})["checkpoint"]
    run = ask(server, "start_sweep", checkpoint, ANY)["run"]
    with httpx.Client(base_url=server.url, timeout=60) as http:
        for name, function, data in calls(run, checkpoint):
            sentence = told(http, function, data)
            assert re.match(r"\[[a-z_]+\] ", sentence) and len(sentence) < 700, (name, function, len(sentence))
            assert "A" * 100 not in sentence and "0" * 100 not in sentence, (function, sentence)
            assert "failed]" not in sentence and ACCEPTED.get(name, "") in sentence, (name, sentence)


def test_what_is_wrong_is_named_by_what_it_was_given_as() -> None:
    for given in ([5], ["a", 5], [None], [["a"]], [True]):
        with pytest.raises(BadData, match="neutral texts must be a list of texts"):
            read_neutral(given)  # type: ignore[arg-type]
    assert read_neutral(["a"]) == ("a",) and read_neutral([{"text": "a"}]) == ("a",)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["١", "１２", "0.1, ٢", "1:٢:3", "०.५", "1:2:３", "²"])
def test_numbers_are_typed_in_plain_digits(text: str) -> None:
    with pytest.raises(GradiendUIError, match="is not a (?:number|range)") as refused:
        read_axis(text, "feature factors")
    assert isinstance(refused.value, BadGrid)
