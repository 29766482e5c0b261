"""Base models that several GRADIENDs use at once: one that is in use is never loaded twice.

A base is known by what lies on the disk (size and time of change of each file) and by how it is asked for. Those in
use are found again; of the others only the newest is kept. Knows files and base models, no checkpoint.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar
from weakref import WeakValueDictionary

import torch
from transformers import AutoConfig

from gradiend_ui.engine.base.base_model import WHOLE_RIGHT_CONTEXT, BaseModel, DeviceMap, Model
from gradiend_ui.engine.base.hub import opened_at
from gradiend_ui.engine.base.loading import ModelReader, check_source, load_base_model, read_model
from gradiend_ui.engine.base.mask_head import base_under_head, holds_mask_head
from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.uploads.trust import LOCAL, Trust

MAPPED_SUFFIXES = (".safetensors", ".bin")
"""Files whose pages the loaded weights may still be."""
Item = TypeVar("Item")


@dataclass(frozen=True)
class StoredFile:
    """A file as it was when it was looked at. place: device and inode; modified: in nanoseconds."""

    path: str
    place: tuple[int, int]
    size: int
    modified: int


Stored: TypeAlias = "tuple[StoredFile | str, ...]"


@dataclass(frozen=True)
class SharedBase(BaseModel):
    """A base model whose weights nobody changes, so that they are hashed only once.

    weight_files: what its weights may be mapped from, as it was before they were read.
    """

    weight_files: tuple[StoredFile, ...] = ()

    @cached_property
    def _fingerprints(self) -> tuple[str, str]:
        return super().fingerprints()

    def fingerprints(self) -> tuple[str, str]:
        """As `BaseModel.fingerprints`, of the weights that were loaded."""
        return self._fingerprints


class SharedBases:
    """Loads base models and knows those in use. Who gets one must not change it. Not for several threads at once."""

    def __init__(self) -> None:
        self._models: WeakValueDictionary[Hashable, Model] = WeakValueDictionary()
        self._bases: WeakValueDictionary[Hashable, SharedBase] = WeakValueDictionary()
        self._newest: SharedBase | None = None

    def load(
        self,
        location: str,
        *,
        tokenizer: str | None = None,
        torch_dtype: torch.dtype = torch.float32,
        objective: str = "auto",
        rhs_window: int = WHOLE_RIGHT_CONTEXT,
        chat_prompt: bool | None = None,
        device: str | torch.device | None = None,
        device_map: DeviceMap | None = None,
        trust: Trust = LOCAL,
    ) -> BaseModel:
        """As `load_base_model`, or the base in use where the same is asked for and no file has changed since.

        With another tokenizer, objective or prompt it is a base of its own around the same weights. What a device or
        device map places elsewhere is not shared, nor what has no version to tell it by. trust: for whom; strangers are
        not given what is in use either where they may not bring it. Raises BadBase, NotAllowed, TooLarge.
        """
        check_source(location, trust)
        trust.check_place(tokenizer or location, "The tokenizer")
        stored, words = stored_at(location, trust), stored_at(tokenizer or location, trust)
        placed = device is not None or device_map is not None
        asked = (stored, tokenizer, words, torch_dtype, objective, rhs_window, chat_prompt)
        read: ModelReader = read_model
        if stored is not None and words is not None and not placed:
            if asked in self._bases:
                self._newest = self._bases[asked]
                return self._newest
            self._newest = None  # makes room, if nobody uses it
            read = partial(self._read, stored)
        base = load_base_model(
            location,
            tokenizer=tokenizer,
            torch_dtype=torch_dtype,
            objective=objective,
            rhs_window=rhs_window,
            chat_prompt=chat_prompt,
            device=device,
            device_map=device_map,
            read=read,
            trust=trust,
        )
        return base if read is read_model or stored is None else self._keep(asked, base, stored)

    def forget(self) -> None:
        """Keep no base for its own sake; those in use stay known."""
        self._newest = None

    def _read(
        self,
        stored: Stored,
        location: str,
        config: Any,
        torch_dtype: torch.dtype,
        device_map: DeviceMap | None,
        trust: Trust,
    ) -> Model:
        model = self._models.get((stored, torch_dtype))
        if model is None:
            self._models[stored, torch_dtype] = model = read_model(location, config, torch_dtype, device_map, trust)
        return model

    def _keep(self, asked: Hashable, base: BaseModel, stored: Stored) -> SharedBase:
        files = (file for file in stored if isinstance(file, StoredFile) and file.path.endswith(MAPPED_SUFFIXES))
        shared = SharedBase(
            base.model, base.tokenizer, base.objective, base.name, base.rhs_window, base.chat_prompt, tuple(files)
        )
        self._bases[asked] = self._newest = shared
        return shared


def stored_at(location: str, trust: Trust = LOCAL) -> Stored | None:
    """What tells one version of a model or tokenizer from another: its files, or a Hub id and its commit.

    The files of a base under a mask head belong to it. None where nothing tells. Raises BadBase as the head does.
    """
    own = _version(location, trust)
    base = base_under_head(Path(location), trust) if holds_mask_head(location) else None
    if own is None or base is None:
        return own
    under = _version(*opened_at(base, trust))
    return None if under is None else own + under


def _version(location: str, trust: Trust) -> Stored | None:
    if os.path.isdir(location):
        return _files(location)
    if os.path.isabs(location) or os.path.exists(location):
        return None
    try:
        commit = AutoConfig.from_pretrained(location, trust_remote_code=False, token=trust.hub_token)._commit_hash
    except Exception:  # whoever loads it says why
        return None
    return None if commit is None else (location, str(commit))


def _files(folder: str) -> Stored | None:
    try:
        found = [(entry.path, entry.stat()) for entry in os.scandir(folder) if entry.is_file()]
    except OSError:
        return None  # a file went while it was looked at
    return tuple(
        StoredFile(path, (status.st_dev, status.st_ino), status.st_size, status.st_mtime_ns)
        for path, status in sorted(found)
    )


def overwritten(base: BaseModel) -> bool:
    """Whether a file of weights was written to since it was read: what is mapped from it has changed with it.

    A file that was replaced as a whole, or deleted, does no harm: what was mapped from the old one stays.
    """
    return isinstance(base, SharedBase) and any(map(_written_to, base.weight_files))


def _written_to(file: StoredFile) -> bool:
    try:
        now = os.stat(file.path)
    except OSError:
        return False
    return file.place == (now.st_dev, now.st_ino) and (file.size, file.modified) != (now.st_size, now.st_mtime_ns)


def while_unchanged(base: BaseModel, steps: Iterable[Item]) -> Iterator[Item]:
    """The same steps, as long as nobody writes to the files that the weights are mapped from. Raises BadData."""
    for step in steps:
        yield step
        if overwritten(base):
            raise BadData(
                f"The weights of the base model {base.name!r} were overwritten on the disk while they were in use: "
                "load the checkpoint again and start a new sweep."
            )
