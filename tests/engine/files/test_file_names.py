"""Names that Windows keeps for devices: refused where people give them, made safe where the app makes them."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from gradiend_ui.engine.checkpoint.writing import checked_place
from gradiend_ui.engine.errors import BadCheckpoint, BadName
from gradiend_ui.engine.files.file_names import DEVICES as DEVICES_KNOWN
from gradiend_ui.engine.files.file_names import is_device, without_device
from gradiend_ui.engine.uploads.archives import checked_members
from gradiend_ui.engine.values import Cell
from gradiend_ui.server.exports import Piece, _default_name, checked_name, safe, unique_names
from gradiend_ui.trainer.figures import _split
from gradiend_ui.trainer.rewriting import _safe

DEVICES = ["con", "CON", "nul.txt", "COM1", "aux.zip", "lpt9.tar.gz", "prn", "Prn.x", "COM\u00b9", "lpt\u00b2.x"]
PLAIN = ["console", "con-1", "com10", "lpt", "nullen", "aux_x", "xcon", "co.n", "conin", "pr\u00fcn"]


@pytest.mark.parametrize("name", [*DEVICES, "conin$", "CONOUT$.txt", "clock$"])
def test_devices_are_known_by_any_ending_and_case(name: str) -> None:
    assert is_device(name) and not is_device(without_device(name))


@pytest.mark.parametrize("name", PLAIN)
def test_other_names_stay_as_they_are(name: str) -> None:
    assert not is_device(name) and without_device(name) == name
    assert checked_name(name) == name and safe(name).startswith(name.rstrip("_"))


@pytest.mark.parametrize("name", [*DEVICES, "conin$"])
def test_an_export_is_not_called_so(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadName, match="that of an export|name of an export"):
        checked_name(name)
    assert checked_name(safe(name)), "what the app calls so itself is made safe"
    with pytest.raises(BadName, match="device"):
        checked_place(tmp_path / name)
    with pytest.raises(BadName, match="device"):
        _split(tmp_path / name, "figure")


ENDINGS = ("", ".txt", ".tar.gz", ".x" * 39, "." + "\u00fc" * 76, "." + "\u4e2d" * 50, ".a-b_c")
KNOWN = [f"{device}{ending}" for device in sorted(DEVICES_KNOWN) for ending in ENDINGS]


@pytest.mark.parametrize(
    "name", [f"{case}{end}" for one in sorted(DEVICES_KNOWN) for case in (one, one.upper()) for end in ENDINGS]
)
def test_the_name_that_is_proposed_instead_is_taken(name: str) -> None:
    """Of any length, too; where the name is refused for another reason first, none is proposed."""
    with pytest.raises(BadName) as told:
        checked_name(name)
    proposed = re.search(r"such as '(.*)'\.$", str(told.value))
    assert proposed or "take letters, digits" in str(told.value)
    if proposed:
        assert checked_name(proposed[1]) == proposed[1]


@pytest.mark.parametrize("name", ["_a", "a_", "a-", "_", "0", "a.b", "\u00fc"])
def test_the_sentence_and_the_rule_agree(name: str) -> None:
    assert checked_name(name) == name
    for other in (f"-{name}", f".{name}", f"{name}.", f"{name}/", f"{name}$"):
        with pytest.raises(BadName, match=re.escape("beginning with neither '-' nor '.', and not ending with '.'")):
            checked_name(other)


def test_names_of_classes_and_checkpoints_become_safe() -> None:
    for name in unique_names([safe(name) for name in ("con", "CON", "nul.txt")]):
        assert not is_device(name)
    assert not is_device(_safe("AUX")) and _safe("F") == "F" and not is_device(_safe("com1.weaken"))
    pieces = [Piece(Cell(1.0, 0.1), "", None)]
    assert checked_name(_default_name("con.", pieces)) and checked_name(_default_name("con", pieces))
    assert checked_name(safe("con." + "x" * 200)) and len(safe("con." + "x" * 200)) <= 80


@pytest.mark.parametrize("name", ["aux.json", "model/con.safetensors", "NUL/config.json", "run/com\u00b9.csv", "a/prn"])
def test_a_zip_that_holds_one_is_refused(name: str) -> None:
    with pytest.raises(BadCheckpoint, match="device on Windows"):
        checked_members([zipfile.ZipInfo("config.json"), zipfile.ZipInfo(name)], allow_pickled=True)
