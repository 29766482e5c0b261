"""Every architecture of the zoo: each parameter touched in turn, and everything beside the reference (half an hour)."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest

from tests.parity.reference import Reference
from tests.parity.zoo import WAYS, compared
from tests.support.every_parameter import differences, wrong
from tests.support.zoo import ZOO, Kept

CHANGED_BY_LOADING = {("funnel", "whole")}
"""Loading a Funnel sets its padding row to zero, so an export that changes it is refused."""
OTHER_KIND = {"xlm", "flaubert"}
"""The reference takes every class that ends in LMHeadModel for a causal one; these two are masked models."""
REFERENCE_CANNOT = {(name, way) for name in ("longformer", "rwkv", "led") for way in WAYS} | {
    ("recurrent_gemma", "pruned")
}
"""What the reference cannot train: no gradient, weights changed in place, an encoder that it does not find."""


@pytest.mark.parametrize("kept", ZOO, ids=str)
def test_every_parameter(kept: Kept) -> None:
    assert wrong(list(differences(kept))) == []


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    if importlib.util.find_spec("gradiend") is None:
        pytest.skip("The zoo needs the reference: pip install -r tests/requirements.txt")
    with Reference(tmp_path_factory.mktemp("reference") / "reference.log") as found:
        yield found


@pytest.mark.parametrize("kept", ZOO, ids=str)
def test_beside_the_reference(kept: Kept, running: Reference, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("kind")
    outcomes = [compared(kept, way, running, folder) for way in WAYS]
    counted = [one for one in outcomes if (one.name, one.way) not in CHANGED_BY_LOADING and one.name not in OTHER_KIND]
    assert {(one.name, one.way) for one in counted if one.refused.startswith("reference")} <= REFERENCE_CANNOT
    assert [one for one in counted if not one.same and not one.refused.startswith("reference")] == []
