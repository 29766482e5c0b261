"""Versions of the checkpoint format beyond `gradiend` 0.2.3, and the one before it: what is read, told or refused.

What the development of `gradiend` writes since (`architecture.bias_encoder`, `components`, `metadata.signal`), and the
flat config of the papers' research code. A file that a newer version wrote is read where it means a rewrite of weights,
and refused in a sentence where it does not. Knows JSON values only. Source of the layouts: the repositories
aieng-lab/gradiend-iend and aieng-lab/gradiend-german-articles.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradiend_ui.engine.answers.remarks import remark
from gradiend_ui.engine.errors import BadCheckpoint, shown

GRADIENT = "gradient"
RESEARCH_FIELDS = ("input_dim", "latent_dim", "layers")
FORMAT = 0
NO_ENCODER_BIAS = remark("no_encoder_bias")
CONVERT = "python -m gradiend_ui.engine.export.research_format OLD NEW --base-model BASE"
MOST_NAMED = 5


def stated_encoder_bias(architecture: Mapping[str, Any]) -> bool | None:
    """Whether the encoder has a bias, None where the file does not say: then its tensors do. Raises BadCheckpoint."""
    stated = architecture.get("bias_encoder")
    if stated is not None and not isinstance(stated, bool):
        raise BadCheckpoint(f"config.json: architecture.bias_encoder must be true or false, not {shown(stated)}.")
    return stated


def signal_of(metadata: Mapping[str, Any]) -> str:
    """What the encoder reads: "gradient", "activation" or another kind, in lower case."""
    space, signal = metadata.get("signal_space"), metadata.get("signal")
    for stated in (_kind(space), metadata.get("mapping_kind"), _kind(signal)):
        if isinstance(stated, str) and stated.strip():
            return stated.strip().lower()
    return GRADIENT


def _kind(stated: object) -> object:
    """The kind in an object, or a text that is one; in one that was written as its Python text, what that says."""
    if not isinstance(stated, Mapping):
        return stated
    written = stated.get("_repr")
    if "kind" not in stated and isinstance(written, str) and "kind=" in written:
        return written.partition("kind=")[2].split(",")[0].strip(" ()'\"")
    return stated.get("kind")


def check_signal(metadata: Mapping[str, Any]) -> None:
    """Raises BadCheckpoint for what was not trained on gradients of weights."""
    signal = signal_of(metadata)
    if signal != GRADIENT:
        raise BadCheckpoint(
            f"This was trained on another signal than gradients ({shown(signal)}, metadata.signal in config.json), as "
            "an ACTIEND is: it steers activations while the model runs and changes no weights, so there is nothing to "
            "rewrite. Open a GRADIEND that was trained on gradients."
        ).known_as("load.other_signal", signal=shown(signal))


def notes_on_format(config: Mapping[str, Any]) -> list[str]:
    """Sentences on what a newer version wrote and this program reads in its own way. Raises BadCheckpoint."""
    notes = []
    version = config.get("format_version", FORMAT)
    if version != FORMAT:
        notes.append(remark("format_version", stated=shown(version), known=FORMAT))
    names = _components(config.get("components"))
    if len(names) > 1:
        named = ", ".join(shown(name) for name in names[:MOST_NAMED])
        if len(names) > MOST_NAMED:
            notes.append(remark("components_many", count=len(names), names=named, more=len(names) - MOST_NAMED))
        else:
            notes.append(remark("components", count=len(names), names=named))
    return notes


def _components(stated: object) -> list[str]:
    if stated is None:
        return []
    if not isinstance(stated, list) or not all(isinstance(item, Mapping) and "id" in item for item in stated):
        raise BadCheckpoint(f"config.json: components must be a list of objects with an id, not {shown(stated)}.")
    return [str(item["id"]) for item in stated]


def is_research_format(config: object) -> bool:
    """Whether a config.json is the research code's: everything flat, no mapping."""
    return isinstance(config, Mapping) and all(name in config for name in RESEARCH_FIELDS) and "mapping" not in config
