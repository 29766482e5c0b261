"""Whom the worker reads for, the owner of the machine or strangers, and which places it may open then.

A plain value that travels from the server's start to every place that opens a file. For strangers those are the data
folder, the demos, and what the owner opens for all. Knows limits, names, paths and the metadata of the owner's
checkpoints; it opens nothing else and asks nobody. No torch.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from gradiend_ui.engine.errors import BadBase, NotAllowed, TooLarge
from gradiend_ui.engine.files.fence import Fence
from gradiend_ui.engine.files.file_names import can_be_location, followed, lies_in
from gradiend_ui.engine.files.json_files import object_at
from gradiend_ui.engine.files.model_files import CONFIG, MASK_HEAD

ARCHITECTURES = frozenset(
    {
        "albert", "bart", "bert", "camembert", "deberta", "deberta-v2", "distilbert", "electra", "eurobert", "gemma",
        "gemma2", "gemma3_text", "gpt2", "gpt_neo", "gpt_neox", "llama", "mbart", "mistral", "modernbert", "mt5",
        "olmo", "olmo2", "opt", "phi", "phi3", "qwen2", "qwen3", "roberta", "smollm3", "t5", "umt5", "xlm-roberta",
    }
)  # fmt: skip
"""The `model_type`s that strangers may bring: language models of transformers itself, without code of their own."""
HUB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
PATHS = (
    re.compile(r"(?<=['\"`])(?:~?[/\\]|[A-Za-z]:[/\\])[^'\"`\n]*(?=['\"`])"),
    re.compile(r"(?<![\w.:/\\'\"`~-])(?:~?/[^\s/'\"`,;:()]+/|\\\\|[A-Za-z]:[/\\])[^\s'\"`,;()]*"),
)
"""Paths from a root, in quotes or among words. A name such as /compare, of one part, is none."""
_ESCAPE = r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|[nrt])"
ESCAPED = re.compile(rf"{_ESCAPE}(?:{_ESCAPE}|[^/\\])*")
"""A quoted text that begins with a character which Python spells out: it looks like a path from a root, and is none."""
LOCAL_PARAMETERS, PUBLIC_PARAMETERS = 200_000_000_000, 1_500_000_000
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".h5", ".msgpack", ".npz", ".joblib")


def is_hub_name(text: str) -> bool:
    """Whether it has the form "owner/name" of a model on the Hub."""
    return HUB_NAME.fullmatch(text) is not None and ".." not in text and not text.endswith((".git", ".ipynb"))


@dataclass(frozen=True, slots=True)
class Trust:
    """public: who asks is a stranger. homes: the folders that the files and base models of what somebody packed may lie
    in, a stranger's or an owner's upload; none for a folder of the owner's own, which may name any other.

    max_parameters: of a base model, over all its weights. owned: what the server's owner opens for everybody. hub:
    where clean copies of models of the Hub are kept for strangers; None fetches none.
    """

    public: bool = False
    homes: tuple[Path, ...] = ()
    max_parameters: int = LOCAL_PARAMETERS
    owned: tuple[Path, ...] = ()
    hub: Path | None = None

    def within(self, *homes: Path) -> Trust:
        """The same for one upload: nothing but these folders."""
        return replace(self, homes=homes)

    def may_look_into(self, place: Path) -> bool:
        """Whether what is read may lead to this folder."""
        return not (self.public or self.homes) or lies_in(place, *self.homes)

    def owns(self, folder: Path) -> bool:
        """Whether the server's owner chose this folder, by whatever path it is asked for."""
        return lies_in(folder, *self.owned)

    def told(self, sentence: str) -> str:
        """A sentence as who asks may read it: for strangers, of a path on this machine nothing but its last part."""
        if not self.public:
            return sentence
        for own in (Path(place) for folder in self.owned for place in (folder, os.path.realpath(folder))):
            if len(own.parts) > 1:
                sentence = sentence.replace(str(own), own.name)
        for pattern in PATHS:
            sentence = pattern.sub(_last_part, sentence)
        return sentence

    @property
    def hub_token(self) -> bool | None:
        """What `from_pretrained` takes as token: False keeps the server's own from being used for strangers."""
        return False if self.public else None

    @property
    def use_safetensors(self) -> bool | None:
        """True: weights come from safetensors or not at all; None: transformers' own order."""
        return True if self.public else None

    def check_pickle(self, path: Path) -> None:
        """Raises NotAllowed where strangers may not bring such a file."""
        if self.public and path.suffix.lower() in PICKLES:
            told = NotAllowed(f"{path.name} holds pickled data, which this server does not open: save safetensors.")
            raise told.known_as("load.pickled_data", name=path.name)

    def check_architecture(self, model_type: str, name: str) -> None:
        """Raises NotAllowed where strangers may not bring a base model of this kind."""
        if self.public and model_type not in ARCHITECTURES:
            raise NotAllowed(
                f"config.json of the base model {name!r}: this server does not open the architecture {model_type!r}; "
                f"it opens {', '.join(sorted(ARCHITECTURES))}."
            )

    def check_parameters(self, count: int, name: str) -> None:
        """Raises TooLarge for a base model with more weights than are read here."""
        if count > self.max_parameters:
            raise TooLarge(
                f"The base model {name!r} has {count:,} weights; at most {self.max_parameters:,} are read here: "
                "take a smaller one."
            )

    def check_place(self, location: str, what: str) -> None:
        """Raises NotAllowed where a stranger's `location` is neither in a home nor a plain "owner/name" of the Hub, and
        BadBase where an owner's upload names a folder outside of it: that is theirs to choose, not the upload's."""
        place = Path(location)
        if self.may_look_into(place) and (place.is_absolute() or not self.homes):
            return
        if not self.public and (place.is_absolute() or os.path.exists(location)):
            raise BadBase(
                f"{what} {location[:200]!r}, which the upload names, is a path of this machine, and an upload chooses "
                "none: give it by hand if it is the right one."
            )
        if self.public and not is_hub_name(location):  # whatever lies here under that name
            raise NotAllowed(
                f"{what} must be a folder in the upload or a Hub name such as 'owner/name': folders of this server are "
                "not read."
            )


def _last_part(found: re.Match[str]) -> str:
    """The last part of a path, with the full stop that may end the sentence behind it."""
    if ESCAPED.fullmatch(found[0]):
        return found[0]
    path = found[0].rstrip(".")
    return (re.split(r"[/\\]", path.rstrip("/\\"))[-1] or "a folder") + "." * (len(found[0]) - len(path))


LOCAL = Trust()
"""The owner's own machine: paths are read, and what transformers can read without running code."""


def public_trust(*owned: Path) -> Trust:
    """Strangers on a server whose owner opens these folders for them."""
    return Trust(public=True, max_parameters=PUBLIC_PARAMETERS, owned=owned)


def check_no_remote_name(value: object, where: str) -> None:
    """Raises BadBase for an option that names code to be fetched ("owner/kernel") instead of a built-in choice."""
    for name in value.values() if isinstance(value, dict) else (value,):
        if name is not None and (not isinstance(name, str) or "/" in name or ":" in name):
            raise BadBase(f"{where} names code of its own, which is never run: remove the field.")


DEEPEST = 3
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
