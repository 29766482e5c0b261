"""Building a clean folder from what others packed: only that is ever opened by the libraries. Runs confined.

A zip is unpacked and rebuilt file by file (see `confined`): GRADIENDs and tables as they are, since our own reading of
them follows no name; of base models and tokenizers the settings made plain (`clean_model`), the weights with headers
that were checked and an index written from them, and the tokenizer as one tokenizer.json. The bytes of weights and
words are the uploaded ones: hashes and fingerprints are those of the user's own files. Knows no server and no worker.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradiend_ui.engine.answers.remarks import remark
from gradiend_ui.engine.base.files import (
    ADDED_TOKENS,
    GENERATION,
    INDEX,
    OF_A_MODEL,
    PICKLED_INDEX,
    SPECIAL_TOKENS,
    TOKENIZER_CONFIG,
    shards_of,
)
from gradiend_ui.engine.base.unfit import ADAPTER_FILE
from gradiend_ui.engine.base.uploaded import CLEAN, MARK, RAW
from gradiend_ui.engine.checkpoint.config import describes_gradiend
from gradiend_ui.engine.checkpoint.run_folder import checkpoint_in
from gradiend_ui.engine.errors import BadBase, BadCheckpoint, NotAllowed, TooLarge
from gradiend_ui.engine.files.file_names import is_pointer
from gradiend_ui.engine.files.json_files import MAX_TEXT, object_at, read_json
from gradiend_ui.engine.files.model_files import CONFIG, MASK_HEAD, PICKLED_WEIGHTS, SENTENCE_PIECES, WEIGHTS
from gradiend_ui.engine.files.safetensors_header import LIMITS as LIMITS_OF_HEADERS
from gradiend_ui.engine.files.safetensors_header import (
    MAX_TENSORS,
    STRANGERS_LIMITS,
    HeaderLimits,
    header_bytes,
    read_header,
)
from gradiend_ui.engine.uploads.archives import LIMITS, PUBLIC_LIMITS, by_products_in, unpack_archive
from gradiend_ui.engine.uploads.clean_model import OF_WORDS, Clean, clean_config, clean_generation_config
from gradiend_ui.engine.uploads.tokenizer import check_added_files, check_words
from gradiend_ui.engine.uploads.tokenizer_classes import without_torch
from gradiend_ui.engine.uploads.trust import is_hub_name

OF_BASE, OF_HEAD = ("base_model", "tokenizer"), ("base_model", "base_model_id")
"""Fields that name a model: of a GRADIEND's metadata, of a mask head."""
MOST_NAMED = 4
"""So many models of the Hub are fetched for one upload."""
TOKENIZER, CHAT_TEMPLATE = "tokenizer.json", "chat_template.jinja"
SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
WORDS = ("vocab.txt", "vocab.json", "merges.txt")
DATA = (".json", ".csv", ".tsv", ".jsonl", ".parquet", ".safetensors")
PICKLES = (".bin",)
MAX_FILES, MAX_LEVELS = 5000, 10
MAX_SETTINGS = 200_000
NAMED_AT_MOST = 80
"""Characters of a name that a note tells."""
MAX_WORDS_BYTES = 32 * 1024 * 1024


def build_from_zip(path: Path, *, home: str, stage: str, strangers: bool) -> dict[str, Any]:
    """Unpack the zip at `path` into `stage`/raw and build `stage`/clean from it; gives the mark.

    Raises as `take_in`.
    """
    limits = PUBLIC_LIMITS if strangers else LIMITS
    raw = unpack_archive(path, Path(stage) / RAW, allow_pickled=not strangers, limits=limits)
    packed = by_products_in(path, allow_pickled=not strangers)
    return build_from_folder(raw, home=home, stage=stage, strangers=strangers, packed=packed)


def build_from_folder(
    path: Path, *, home: str, stage: str, strangers: bool, source: str = "", packed: Sequence[str] = ()
) -> dict[str, Any]:
    """Build `stage`/clean from the folder at `path`, whatever lies in it; gives the mark.

    home: the name that it will have. source: the folder in it that stands for it, "" looks for the GRADIEND. packed:
    files that were not unpacked, to be noted. Raises as `take_in`.
    """
    clean = Path(stage) / CLEAN
    notes = build(path, clean, pickled=not strangers)
    if packed:
        sentence = remark("files_left", names=_listed(packed))
        notes["."] = [*notes.get(".", ()), sentence]
    source = source or checkpoint_in(clean).relative_to(clean).as_posix()
    named = _named_on_the_hub(clean, clean / source)
    mark = {"home": home, "source": source, "strangers": strangers, "notes": notes, "hub": named}
    (clean / MARK).write_text(json.dumps(mark), encoding="utf-8")
    return mark


def _named_on_the_hub(clean: Path, source: Path) -> list[str]:
    """The models of the Hub that the GRADIEND, or the run with it, says it needs: base and tokenizer, and what the mask
    heads of the upload stand on; not more than a few."""
    found: list[str] = []
    path = next((path for path in (source / CONFIG, source / "model" / CONFIG) if path.is_file()), None)
    metadata = object_at(path).get("metadata") if path is not None else None
    places = [(path.parent, metadata.get(key)) for key in OF_BASE] if path and isinstance(metadata, dict) else []
    heads = sorted(clean.rglob(MASK_HEAD))[:MOST_NAMED]
    places += [(head.parent, object_at(head).get(key)) for head in heads for key in OF_HEAD]
    for folder, stated in places:
        if isinstance(stated, str) and is_hub_name(stated) and stated not in found and not (folder / stated).is_dir():
            found.append(stated)
    return found[:MOST_NAMED]


def build(raw: Path, clean: Path, *, pickled: bool) -> dict[str, list[str]]:
    """Make the folder `clean` from `raw`; gives {folder: sentences on what was left out}. pickled: whether it may hold
    weights in PyTorch's own format. Raises BadCheckpoint, BadBase, NotAllowed, TooLarge, and OSError."""
    notes: dict[str, list[str]] = {}
    count = 0
    for place, names, files in os.walk(raw):
        relative = Path(place).relative_to(raw)
        names[:] = sorted(name for name in names if not (Path(place) / name).is_symlink())
        if len(relative.parts) > MAX_LEVELS:
            deep = TooLarge("The folders of the upload are nested too deep: pack the GRADIEND's own folder.")
            raise deep.known_as("load.zip_folders_deep")
        plain = {name for name in files if _is_plain(Path(place) / name) and (relative.parts or name != MARK)}
        count += len(plain)
        if count > MAX_FILES:
            many = TooLarge(f"The upload holds more than {MAX_FILES:,} files: pack the GRADIEND's own folder.")
            raise many.known_as("load.zip_many_files", most=f"{MAX_FILES:,}")
        folder = _Folder(Path(place), clean / relative, frozenset(plain), _shown(relative), pickled)
        folder.target.mkdir(parents=True, exist_ok=True)
        folder.build()
        if folder.notes:
            notes[relative.as_posix()] = folder.notes
    return notes


def _is_plain(path: Path) -> bool:
    return stat.S_ISREG(path.lstat().st_mode)


def _listed(names: Sequence[str]) -> str:
    """The first of the names, each short."""
    return ", ".join(name[-NAMED_AT_MOST:] for name in names[:8]) + (", ..." if len(names) > 8 else "")


def _shown(relative: Path) -> str:
    return repr(relative.name) if relative.parts else "the upload"


@dataclass
class _Folder:
    """One folder of an upload and what is made of it. names: its plain files; shown: how sentences call it."""

    raw: Path
    target: Path
    names: frozenset[str]
    shown: str
    pickled: bool
    notes: list[str] = field(default_factory=list)

    def build(self) -> None:
        self._check_no_pointer()
        config = object_at(self.raw / CONFIG) if CONFIG in self.names else None  # what is none is refused when read
        is_model = config is not None and "model_type" in config and not describes_gradiend(config)
        handled = {CONFIG, GENERATION, *self._tokenizer_files()}
        if config is not None and is_model:
            self._check_no_adapter()
            self._write(CONFIG, clean_config(config, self._where(CONFIG)))
            handled |= self._weights()
        elif config is not None:
            self._take(CONFIG)
        if GENERATION in self.names:
            self._write(GENERATION, clean_generation_config(self._object(GENERATION), self._where(GENERATION)))
        self._tokenizer()
        for name in sorted(self.names - handled):
            suffix = Path(name).suffix.lower()
            is_data = suffix in DATA and not (is_model and suffix in (".json", ".safetensors"))
            if is_data or name == MASK_HEAD or (self.pickled and suffix in PICKLES and not is_model):
                self._take(name)

    # --- settings ------------------------------------------------------------------------------------------------

    def _where(self, name: str) -> str:
        return f"{name} in {self.shown}"

    def _object(self, name: str, max_bytes: int = MAX_SETTINGS * 40, max_values: int = MAX_SETTINGS) -> dict[str, Any]:
        try:
            content = read_json(self.raw / name, max_bytes=max_bytes, max_values=max_values)
        except ValueError as error:
            bad = BadCheckpoint(f"{self._where(name)} is not valid JSON: {error}.")
            raise bad.known_as("load.file_no_json", name=self._where(name), why=str(error)) from error
        if not isinstance(content, dict):
            other = BadCheckpoint(f"{self._where(name)} must hold a JSON object.")
            raise other.known_as("load.file_no_object", name=self._where(name))
        return content

    def _write(self, name: str, clean: Clean) -> None:
        text = json.dumps(clean.content, indent=2, ensure_ascii=False, allow_nan=False)
        (self.target / name).write_text(text, encoding="utf-8")
        if clean.left_out:
            self.notes.append(remark("fields_left", file=self._where(name), names=_listed(clean.left_out)))

    def _take(self, name: str) -> None:
        """The file as it is."""
        try:
            os.link(self.raw / name, self.target / name, follow_symlinks=False)
        except OSError:
            shutil.copyfile(self.raw / name, self.target / name, follow_symlinks=False)

    def _check_no_pointer(self) -> None:
        for name in sorted(self.names):
            if name.endswith(OF_A_MODEL) and is_pointer(self.raw / name):
                raise BadCheckpoint(
                    f"{name} in {self.shown} is a pointer of Git LFS and not the file itself: fetch it (git lfs pull), "
                    "or download it again."
                ).known_as("load.pointer", name=name, folder=self.shown)

    def _check_no_adapter(self) -> None:
        adapter = next((name for name in sorted(self.names) if ADAPTER_FILE.fullmatch(name)), None)
        if adapter is not None:
            told = NotAllowed(f"The base model in {self.shown} is an adapter ({adapter}): merge it first.")
            raise told.known_as("load.base_is_adapter", name=self.shown, file=adapter)

    # --- weights -------------------------------------------------------------------------------------------------

    def _weights(self) -> set[str]:
        """Take over the weights that transformers would read, with an index of our own; gives the names dealt with."""
        if WEIGHTS in self.names:
            self._check_header(WEIGHTS, self._limits)
            self._take(WEIGHTS)
            if self.pickled and PICKLED_WEIGHTS in self.names:
                self._take(PICKLED_WEIGHTS)  # not read, but compared
        elif shards := self._shards(INDEX, SHARD, ".safetensors"):
            self._take_shards(shards)
        elif self.pickled and PICKLED_WEIGHTS in self.names:
            self._take(PICKLED_WEIGHTS)
        elif self.pickled and PICKLED_INDEX in self.names:
            for name in self._shards(PICKLED_INDEX, None, ".bin"):
                self._take(name)
            places = self._object(PICKLED_INDEX, max_values=MAX_TENSORS * 4)["weight_map"]
            self._write(PICKLED_INDEX, Clean({"metadata": {}, "weight_map": places}))
        elif not self.pickled and any(name.endswith(PICKLES) for name in self.names):
            told = NotAllowed(f"The base model in {self.shown} holds pickled weights only: save it as safetensors.")
            raise told.known_as("load.base_pickled", name=self.shown)
        return {WEIGHTS, INDEX, PICKLED_INDEX}

    def _shards(self, index_name: str, pattern: re.Pattern[str] | None, suffix: str) -> tuple[str, ...]:
        """The files that the index names, or that bear the names of shards where there is none."""
        if index_name not in self.names:
            return tuple(sorted(name for name in self.names if pattern is not None and pattern.fullmatch(name)))
        content = self._object(index_name, max_bytes=64 * 1024 * 1024, max_values=MAX_TENSORS * 4)
        return shards_of(content, self.names, self._where(index_name), suffix)

    def _take_shards(self, shards: tuple[str, ...]) -> None:
        where: dict[str, str] = {}
        size, left = 0, self._limits
        for shard in shards:
            header = self._check_header(shard, left)
            left = left.less(header_bytes(self.raw / shard), len(header))
            for name in header:
                if where.setdefault(name, shard) != shard:
                    raise BadBase(f"The weights in {self.shown} hold the tensor {name[:80]!r} in two files.")
            size += (self.raw / shard).stat().st_size
            self._take(shard)
        self._write(INDEX, Clean({"metadata": {"total_size": size}, "weight_map": where}))

    @property
    def _limits(self) -> HeaderLimits:
        return LIMITS_OF_HEADERS if self.pickled else STRANGERS_LIMITS

    def _check_header(self, name: str, limits: HeaderLimits) -> Mapping[str, object]:
        try:
            return read_header(self.raw / name, limits)
        except BadCheckpoint as error:
            bad = BadBase(f"The base model in {self.shown} cannot be read: {error}")
            raise bad.known_as("load.base_unread", name=self.shown, why=error.part) from error

    # --- words ---------------------------------------------------------------------------------------------------

    def _tokenizer_files(self) -> set[str]:
        pieces = {name for name in self.names if name.endswith(SENTENCE_PIECES)}
        return {TOKENIZER, TOKENIZER_CONFIG, SPECIAL_TOKENS, ADDED_TOKENS, CHAT_TEMPLATE, *WORDS, *pieces}

    def _tokenizer(self) -> None:
        made = {
            name: make(self._object(name, max_bytes=32 * 1024 * 1024), self._where(name))
            for name, make in OF_WORDS.items()
            if name in self.names
        }
        if not self.pickled:
            check_added_files({name: clean.content for name, clean in made.items()}, self.shown)
        for name, clean in made.items():
            self._write(name, clean)
        if CHAT_TEMPLATE in self.names and (self.raw / CHAT_TEMPLATE).stat().st_size <= MAX_TEXT:
            self._take(CHAT_TEMPLATE)
        if TOKENIZER in self.names:
            self._check_words(self.raw / TOKENIZER, TOKENIZER)
            self._take(TOKENIZER)
        elif self.names & {"vocab.txt", "vocab.json"}:
            self._convert_words()
        elif pieces := [name for name in self.names if name.endswith(SENTENCE_PIECES)]:
            if not self.pickled:
                raise BadBase(f"The tokenizer in {self.shown} is a {pieces[0][:80]}: save it with its tokenizer.json.")
            for name in pieces:
                self._take(name)

    def _check_words(self, path: Path, name: str) -> None:
        known = object_at(self.target / CONFIG).get("vocab_size") if CONFIG in self.names else None
        check_words(path, self._where(name), strangers=not self.pickled, known=known)

    def _convert_words(self) -> None:
        """Make a tokenizer.json of a vocabulary (and merges) that lie alone, with the tokenizer of the model's kind."""
        words = [name for name in WORDS if name in self.names]
        for name in words:
            if (self.raw / name).stat().st_size > MAX_WORDS_BYTES:
                raise TooLarge(f"{self._where(name)} is larger than {MAX_WORDS_BYTES // 2**20} MB.")
            self._take(name)
        try:
            with without_torch():
                from transformers import AutoTokenizer

            tokenizer = AutoTokenizer.from_pretrained(self.target, trust_remote_code=False, local_files_only=True)
            tokenizer.backend_tokenizer.save(str(self.target / TOKENIZER))
        except Exception as error:  # transformers and tokenizers raise many kinds for files that are not their own
            raise BadBase(
                f"The vocabulary in {self.shown} makes no tokenizer: save it with its tokenizer.json."
            ) from error
        self._check_words(self.target / TOKENIZER, words[0])
        for name in words:
            (self.target / name).unlink()
