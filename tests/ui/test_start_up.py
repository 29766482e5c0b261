"""A quick start: Gradio comes without writing interface files, and everything is as it was afterwards."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import pytest

from gradiend_ui.ui.start_up import WithoutStubs, quick_start

OWN_COMPONENT = """
import gradio as gr

class Own(gr.HTML):
    def __init__(self, value=None):
        super().__init__(value)
"""
START = """
import gc, sys
from gradiend_ui.ui.start_up import quick_start
finders = list(sys.meta_path)
with quick_start():
    import own
    import gradio.component_meta
assert sys.meta_path == finders and gc.isenabled(), "not left as it was"
assert own.Own("text").change
print(gradio.component_meta.create_or_modify_pyi.__module__)
"""


def test_gradio_is_imported_without_interface_files(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN_COMPONENT)
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(root)!r}]\n{START}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["gradiend_ui.ui.start_up"]
    assert not list(tmp_path.glob("*.pyi"))


def test_the_suite_writes_no_interface_files_either() -> None:
    import gradio.component_meta

    assert gradio.component_meta.create_or_modify_pyi.__module__ == WithoutStubs.__module__


def test_collecting_goes_on_as_before_even_after_an_error() -> None:
    finders = list(sys.meta_path)
    with pytest.raises(ZeroDivisionError), quick_start():
        assert not gc.isenabled()
        _ = 1 / 0
    assert gc.isenabled() and sys.meta_path == finders
    gc.disable()
    try:
        with quick_start():
            pass
        assert not gc.isenabled(), "who has switched it off keeps it off"
    finally:
        gc.enable()
        gc.unfreeze()
