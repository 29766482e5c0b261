"""What a worker that reads for strangers may open: the data folder, the demos, and what the owner opens for all.

Knows paths and the metadata of the owner's checkpoints; no torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from gradiend_ui.engine.checked_json import object_at
from gradiend_ui.engine.fence import Fence
from gradiend_ui.engine.file_names import can_be_location, followed

CONFIG, MASK_HEAD, DEEPEST = "config.json", "config_mlm_head.json", 3
STATED = ("base_model", "base_model_id", "tokenizer")
"""The fields of metadata, and of a mask head, that name a folder to read."""


def fence_around(data_dir: Path, demo_folder: Path, owned: tuple[Path, ...]) -> Fence:
    """The fence of such a worker. owned: the folders that the server's owner opens for everybody.

    Models that these name on the Hub are fetched into its cache, which is why only a worker with some may read and
    write there: strangers are never given what lies in it.
    """
    from huggingface_hub.constants import HF_HUB_CACHE

    cache = Path(HF_HUB_CACHE)
    places = tuple(place for folder in owned for place in (folder, folder.parent / "base", *named_by(folder)))
    writes = (data_dir, *((cache,) if owned else ()))
    return Fence(reads=(demo_folder, *places), writes=writes, network=True, gpus=True)


def named_by(folder: Path) -> Iterator[Path]:
    """The folders that the checkpoints in `folder` say they need, and those that these need in turn."""
    found: set[Path] = set()
    waiting = [folder]
    while waiting:
        for place in _stated(waiting.pop()):
            if place not in found and place.is_dir():
                found.add(place)
                waiting.append(place)
                yield place


def _stated(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.glob("**/*.json") if folder.is_dir() else ()):
        if path.name in (CONFIG, MASK_HEAD) and len(path.relative_to(folder).parts) <= DEEPEST:
            content = object_at(path)
            metadata = content.get("metadata") if path.name == CONFIG else content
            stated = [metadata.get(name) for name in STATED] if isinstance(metadata, dict) else []
            for one in stated:
                if isinstance(one, str) and one and can_be_location(one):
                    with suppress(RuntimeError, OSError):  # "~somebody" who has no home here, links in a ring
                        yield followed(path.parent / Path(one).expanduser())
