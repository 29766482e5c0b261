"""Writing a rewritten model to disk: whole or absent.

The folder is built beside its place, reloaded, compared tensor by tensor with the model in memory, given a card and
a manifest of checksums, and only then renamed. Knows models and folders; no grid, no page.
"""

from __future__ import annotations

import copy
import errno
import hashlib
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from gradiend_ui.engine.base.base_model import Model
from gradiend_ui.engine.base.loading import load_base_model, pads_with_end_only
from gradiend_ui.engine.errors import BadName, Failed
from gradiend_ui.engine.export.dtypes import convert, stored_dtypes
from gradiend_ui.engine.export.model_card import DTYPES, Rewrite, dtype_name, model_card
from gradiend_ui.engine.files.file_names import WHY, is_device, is_writable
from gradiend_ui.engine.files.model_files import ANY_WEIGHTS
from gradiend_ui.engine.files.whole_or_absent import (
    new_folder,
    unfinished,
    with_advice,
)
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.sweep.provenance import versions
from gradiend_ui.engine.weights.precision import check_finite

MANIFEST = "manifest.json"
RECIPE = "rewrite.json"


def export_checkpoint(model: ModelWithGradiend, rewrite: Rewrite, folder: Path) -> Path:
    """Write `base + learning_rate * u` with tokenizer, card and recipe to the new folder `folder`.

    The result loads with the auto class of its kind and `AutoTokenizer`, in `rewrite.dtype`, or each weight in that of
    the base's files; models that generate bring their generation config.
    Raises BadName when `folder` exists and is not empty, BadGrid when a weight of the rewrite is not finite, Failed
    when it could not be written, differs on reload, or has a weight that its dtype cannot hold.
    """
    rewritten = model.rewrite_base_model(rewrite.cell.learning_rate, rewrite.feature_factor, rewrite.part)
    if rewrite.dtype is not None or rewrite.as_stored:
        stored = stored_dtypes(model.base_model) if rewrite.as_stored else {}
        rewritten = convert(rewritten, rewrite.dtype or dtype_name(rewritten.dtype), stored)
    return save_rewritten(model, rewritten, rewrite, folder)


def written_bytes(model: Model, dtype: str | None) -> int:
    """Bytes of the weights as they are written: shared ones once. dtype: None for the dtype they have."""
    tensors = {tensor.data_ptr(): tensor for tensor in model.state_dict().values()}.values()
    size = None if dtype is None else DTYPES[dtype].itemsize
    return sum(t.numel() * (size if size and t.is_floating_point() else t.element_size()) for t in tensors)


def save_rewritten(
    model: ModelWithGradiend, rewritten: Model, rewrite: Rewrite, folder: Path, *, replace_own: bool = False
) -> Path:
    """The same for a model that was rewritten already.

    replace_own: a folder that holds an export of ours and nothing else is replaced, so that a script can run twice.
    """
    if "\0" in str(folder) or not is_writable(folder) or len(os.fsencode(folder.name)) > 200:
        raise BadName(f"{folder.name[:80]!r} is no usable name: take fewer than 200 plain characters.")
    if is_device(folder.name):
        raise BadName(f"{folder.name!r} {WHY} a folder: choose another name.")
    own = replace_own and _is_own(folder)
    if folder.exists() and not own and (not folder.is_dir() or any(folder.iterdir())):
        raise BadName(f"{folder.name!r} exists already and is not empty: choose another name.")
    check_finite(rewritten, rewrite.feature_factor, rewrite.cell.learning_rate)
    try:
        with new_folder(folder, replaces=own) as partial:
            rewritten.save_pretrained(partial, safe_serialization=True)
            _save_tokenizer(model, partial)
            (partial / RECIPE).write_text(json.dumps(recipe(model, rewrite), indent=2), encoding="utf-8")
            (partial / "README.md").write_text(model_card(model, rewrite), encoding="utf-8")
            _verify(model, rewritten, partial)
            (partial / MANIFEST).write_text(json.dumps(_checksums(partial), indent=2), encoding="utf-8")
            if folder.exists() and not own:
                folder.rmdir()  # it is empty; some systems rename onto nothing only
    except (OSError, SafetensorError) as error:  # the second is how safetensors reports a full disk
        raise Failed(f"The export could not be written: {with_advice(error)}") from error
    return folder


def _save_tokenizer(model: ModelWithGradiend, folder: Path) -> None:
    """As the base has it: without the padding token that it was only given when it was loaded, and without how the text
    before was cut and filled, which `tokenizers` keeps. Raises OSError where the disk refuses: `tokenizers` has only a
    bare Exception for that."""
    tokenizer = model.tokenizer
    if pads_with_end_only(tokenizer):
        tokenizer = copy.deepcopy(tokenizer)
        tokenizer.pad_token = None
    if tokenizer.is_fast:
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
    try:
        tokenizer.save_pretrained(folder)
    except Exception as error:
        if type(error) is not Exception:
            raise
        raise OSError(errno.EIO, str(error).partition(" (os error")[0]) from error


def _is_own(folder: Path) -> bool:
    """Whether the folder is an export of ours to which nobody has added a file."""
    try:
        listed = set(json.loads((folder / MANIFEST).read_text(encoding="utf-8"))) | {MANIFEST}
        return RECIPE in listed and {path.name for path in folder.iterdir()} <= listed
    except (OSError, ValueError, TypeError):
        return False


def recipe(model: ModelWithGradiend, rewrite: Rewrite) -> dict[str, Any]:
    """Everything needed to make the same weights again, and what is known of the classes that they stand for.

    encoding_direction: {class: +1, -1 or 0}; direction_unknown: why it is not known, None where it is. as_stored: each
    weight has the format of the base model's files, and `dtype` is that of most. degenerate: what a broken model says
    nearly everywhere; None for one that is not, or where nothing was measured.
    """
    note = model.checkpoint.direction_note
    return {
        "base_model": model.base.name,
        "auto_class": model.base.auto_class,
        "objective": model.base.objective,
        "gradiend": model.checkpoint.folder.name,
        "source": model.source,
        "mapped_weights": model.checkpoint.mapped_weights,
        "encoding_direction": model.encoding_direction,
        "direction_unknown": note.sentence if note is not None and note.is_open else None,
        "fingerprint": model.fingerprint,
        "part": rewrite.part,
        "feature_factor": rewrite.feature_factor,
        "learning_rate": rewrite.cell.learning_rate,
        "dtype": rewrite.dtype or dtype_name(model.base_model.dtype),
        "as_stored": rewrite.as_stored,
        "versions": versions(),
        "degenerate": None,
        **rewrite.facts,
    }


def _verify(model: ModelWithGradiend, rewritten: Model, folder: Path) -> None:
    """Reload the folder and compare every tensor and the tokenizer with what was meant; NaN is equal to nothing.

    A few kinds of models keep some half-precision weights in float32 once they are loaded, and weights of several
    formats are all loaded as float32: these must have the written values.
    """
    kinds = {tensor.dtype for tensor in rewritten.state_dict().values() if tensor.is_floating_point()}
    loaded_as = kinds.pop() if len(kinds) == 1 else torch.float32
    again = load_base_model(str(folder), torch_dtype=loaded_as, objective=model.base.objective)
    expected, found = rewritten.state_dict(), again.model.state_dict()
    different = [name for name in expected if name not in found or not _same(expected[name], found[name])]
    if different or set(found) - set(expected):
        name = (different or sorted(found))[0]
        told = f"The written checkpoint differs from the rewrite at {name!r}."
        if name in found and _is_written(folder, name, expected[name]):
            kind = again.model.config.model_type
            told = (
                f"transformers changes {name!r} of a {kind} model whenever it loads one, such as the row of its "
                "padding: what was written would not be read again. Map other parameters."
            )
        raise Failed(told)
    if again.tokenizer.get_vocab() != model.tokenizer.get_vocab():
        raise Failed("The written tokenizer differs from the base model's.")


def _is_written(folder: Path, name: str, tensor: torch.Tensor) -> bool:
    """Whether a file of the folder holds the tensor as it was meant."""
    for path in folder.glob(ANY_WEIGHTS):
        with safe_open(path, framework="pt") as file:
            if name in file.keys():  # noqa: SIM118
                return torch.equal(file.get_tensor(name), tensor.cpu())
    return False


def _same(left: torch.Tensor, right: torch.Tensor) -> bool:
    if left.dtype != right.dtype and right.dtype == torch.float32 and left.dtype.itemsize == 2:
        left = left.float()
    return left.dtype == right.dtype and torch.equal(left.cpu(), right)


def _checksums(folder: Path) -> dict[str, str]:
    sums: dict[str, str] = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            sums[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return sums


def zip_folder(folder: Path, target: Path) -> Path:
    """Pack `folder` with all below it into the new zip `target`, whole or absent; weights do not shrink, so stored."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with unfinished(target) as partial:
            with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
                for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                    archive.write(path, f"{folder.name}/{path.relative_to(folder).as_posix()}")
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(partial, target)
    except OSError as error:
        raise Failed(f"The zip could not be written: {with_advice(error)}") from error
    return target
