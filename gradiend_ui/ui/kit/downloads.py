"""Files that a visitor downloads: under an unguessable folder of Gradio's download cache, which empties itself.

A download takes two clicks in the browser: the listener fills a hidden button, a script presses it. Knows no content.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from secrets import token_urlsafe

from gradio.utils import get_upload_folder

from gradiend_ui.engine.errors import Failed
from gradiend_ui.engine.files.whole_or_absent import with_advice


def downloadable(path: str) -> str:
    """The same file in the download cache; a hard link where the disk allows it. Raises Failed."""
    target = _place(Path(path).name)
    try:
        try:
            os.link(path, target)
        except OSError:
            shutil.copyfile(path, target)
    except OSError as error:
        raise _full(error) from error
    return str(target)


def downloadable_text(name: str, text: str) -> str:
    """`text` as a file called `name` in the download cache, UTF-8. Raises Failed."""
    target = _place(name)
    try:
        target.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise _full(error) from error
    return str(target)


def press(hidden_id: str) -> str:
    """Script for `.success(js=)`: presses the hidden download button once it has its file."""
    return f"""() => {{
  const link = () => document.querySelector('#{hidden_id}');
  setTimeout(() => {{ (link().querySelector('a') || link()).click(); }}, 120);
}}"""


def _place(name: str) -> Path:
    folder = Path(get_upload_folder()) / token_urlsafe(12)
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise _full(error) from error
    return folder / name


def _full(error: OSError) -> Failed:
    return Failed(f"The file could not be put up for download: {with_advice(error)}")
