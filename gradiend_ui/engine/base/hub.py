"""Base models that a stranger's checkpoint names on the Hub: fetched, rebuilt like an upload, and opened from there.

What lies on the Hub under a name that a stranger chose is a stranger's, too. A process that may reach the network and
writes one folder fetches the files that a model is read from: as anybody may, never with the server's token and never
from its cache, where models lie that only the owner may read; and never more than a limit. Another process, without
network, builds the clean folder (see `taken_in`). Knows names and files; loads no model.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from pathlib import Path
from typing import Any

from gradiend_ui.engine.base.uploaded import RAW, STRANGERS, building, home_of, marked, wanted, was_taken_in
from gradiend_ui.engine.errors import BadBase, Failed, GradiendUIError, NotAllowed, TooLarge
from gradiend_ui.engine.files.confined import Confinement, run_confined
from gradiend_ui.engine.files.whole_or_absent import reason_of, touch
from gradiend_ui.engine.uploads.trust import Trust, is_hub_name

log = logging.getLogger(__name__)
MAX_BYTES, MAX_FILES = 6 * 1024**3, 64
"""Of all files that are fetched for one model: 1.5 billion weights in float32."""
FETCH = Confinement(seconds=1800.0, file_bytes=MAX_BYTES, answer_bytes=4 * 2**20, network=True)
NAMES = frozenset(
    {
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json", "chat_template.jinja", "vocab.txt", "vocab.json", "merges.txt", "model.safetensors",
        "model.safetensors.index.json", "adapter_config.json",
    }
)  # fmt: skip
SHARDS = ("model-", ".safetensors")
ANSWER_SECONDS = 20.0


def opened_at(location: str, trust: Trust, what: str = "The base model") -> tuple[str, Trust]:
    """Where the libraries read what a checkpoint names, and for whom: strangers get a clean copy of what the Hub has.
    what: how a sentence calls it.

    Nothing is fetched here, where others would wait for it (see `fetch_named`). Raises NotAllowed for a folder of this
    server, BadBase for a model that was not fetched.
    """
    if not trust.public or os.path.isabs(location):
        return location, trust
    trust.check_place(location, what)
    if trust.hub is None:
        raise NotAllowed("This server fetches no models from the Hub: put the base model into the upload, as base/.")
    place = _copied(location, trust.hub)
    if place is None:
        raise BadBase(
            f"The model {location!r} was not fetched from the Hub: upload the GRADIEND again, or put the model into "
            "the upload, as base/."
        )
    return str(place), trust.within(*trust.homes, place)


def hub_copy(name: str, uploads: Path) -> Path:
    """The clean folder of a model of the Hub, called by the model's own name; fetched when it is not here.

    Raises BadBase when it cannot be had, TooLarge, NotAllowed or BadBase for what may not be brought, and Failed.
    """
    copied = _copied(name, uploads)
    if copied is not None:
        return copied
    home, folder = _home_of(name, uploads), name.partition("/")[2]
    try:
        with building(home) as stage:
            raw = stage / RAW
            (raw / folder).mkdir(parents=True)
            run_confined("fetch_base", raw / folder, FETCH, writes=[stage], options={"name": name})
            run_confined(
                "clean", raw, STRANGERS, writes=[stage], options={**wanted(home, stage, True), "source": folder}
            )
    except OSError as error:
        raise Failed(f"The base model {name!r} could not be kept: {reason_of(error)}. Try again later.") from error
    return home / folder


def _home_of(name: str, uploads: Path) -> Path:
    return uploads / hashlib.sha256(f"hub:{name}".encode()).hexdigest()


def _copied(name: str, uploads: Path) -> Path | None:
    """The clean folder of a model that was fetched, which counts as used now; None without one."""
    home = _home_of(name, uploads)
    if not was_taken_in(home, strangers=True):
        return None
    touch(home)
    return home / name.partition("/")[2]


def fetch_named(source: Path, uploads: Path) -> list[GradiendUIError]:
    """Fetch what an upload names on the Hub; gives what went wrong.

    In the server, before the worker is asked: fetching takes minutes, and at the worker everybody would wait.
    """
    problems: list[GradiendUIError] = []
    home = home_of(source, uploads)
    for name in _names_in(home) if home is not None else ():
        try:
            hub_copy(name, uploads)
        except GradiendUIError as error:
            log.info("%s was not fetched: %s", name, error)
            problems.append(error)
    return problems


def is_fetched(source: Path, uploads: Path) -> bool:
    """Whether all that the upload itself names on the Hub is here."""
    home = home_of(source, uploads)
    return home is None or all(_copied(name, uploads) is not None for name in _names_in(home))


def _names_in(home: Path) -> list[str]:
    return [name for name in marked(home).get("hub", ()) if isinstance(name, str) and is_hub_name(name)]


# --- in the confined process ------------------------------------------------------------------------------------------


def fetch(path: Path, *, name: str) -> dict[str, Any]:
    """Put the model's files into the folder `path`; gives {"files": how many}. Raises BadBase, TooLarge."""
    from gradiend_ui.engine.base.trouble import load_failure

    try:
        files = _downloaded(path, name)
    except (GradiendUIError, MemoryError):
        raise
    except Exception as error:
        raise BadBase(load_failure(name, error, on_hub=True)) from error
    return {"files": files}


def _downloaded(path: Path, name: str) -> int:
    from huggingface_hub import HfApi, hf_hub_download

    info = HfApi(token=False).model_info(name, files_metadata=True, timeout=ANSWER_SECONDS, token=False)
    wanted = [file for file in info.siblings or () if is_read(file.rfilename)]
    size = sum(file.size or 0 for file in wanted)
    if len(wanted) > MAX_FILES or size > MAX_BYTES:
        raise TooLarge(
            f"The base model {name!r} has {size / 2**30:.1f} GB in {len(wanted)} files on the Hub; at most "
            f"{MAX_BYTES / 2**30:.0f} GB in {MAX_FILES} are fetched here: take a smaller one."
        )
    for file in wanted:
        hf_hub_download(name, file.rfilename, revision=info.sha, local_dir=path, token=False)
    shutil.rmtree(path / ".cache", ignore_errors=True)
    return len(wanted)


def is_read(name: str) -> bool:
    """Whether a model is read from a file of this name, at the top of its folder."""
    return name in NAMES or (name.startswith(SHARDS[0]) and name.endswith(SHARDS[1]) and "/" not in name)
