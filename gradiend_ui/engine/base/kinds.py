"""Which kind of language model a configuration is, and the auto class of transformers that loads it.

What counts is what the Auto mappings of the installed transformers say of the configuration's class and of the
architecture that it names: no path, and no ending of a name alone. Knows configurations and names of classes; no
weights and no folder.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
)

from gradiend_ui.engine.base.objectives import CAUSAL, MASKED, SEQ2SEQ, Kind
from gradiend_ui.engine.errors import BadBase

AUTO_CLASSES = {MASKED: AutoModelForMaskedLM, CAUSAL: AutoModelForCausalLM, SEQ2SEQ: AutoModelForSeq2SeqLM}
NAMES = {
    MASKED: MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    CAUSAL: MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    SEQ2SEQ: MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
}
"""{kind: {model_type: the class that its auto class builds}}."""
DISCRIMINATORS = frozenset({"ElectraForPreTraining", "FunnelForPreTraining"})
"""They tell which tokens were replaced, and predict none."""
CAUSAL_ENDINGS = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
EITHER_WAY = "LMHeadModel"
"""How a class ends whose head says the next token or the hidden one, by its settings: XLM and FlauBERT."""


def kind_of(config: Any, location: str) -> Kind:
    """ "masked", "causal" or "seq2seq": by the configuration alone (a path with "t5" in it says nothing).

    Raises BadBase for what is none, with what to give instead.
    """
    names = _named(config)
    kinds = [kind for kind in AUTO_CLASSES if _is_mapped(config, kind)]
    if getattr(config, "is_encoder_decoder", False):
        kinds = [kind for kind in kinds if kind == SEQ2SEQ]
    else:
        kinds = [kind for kind in kinds if kind != SEQ2SEQ and not (kind == MASKED and _looks_left_only(config))]
    for kind in kinds:
        if kind == SEQ2SEQ or any(_suits(name, kind, config) for name in names):
            return kind
    if kinds and (not names or any(name.endswith("Model") for name in names)):
        return kinds[0]
    raise _refused(config, name_of(location))


def kinds_of(config: Any, location: str) -> tuple[Kind, ...]:
    """Its own kind, and for a masked model with a head that `gradiend` 0.2.3 asks for the next token "causal", too:
    GRADIENDs that were trained that way can be scored as they were. Raises as `kind_of`."""
    kind = kind_of(config, location)
    either = kind == MASKED and any(name.endswith(EITHER_WAY) for name in _named(config))
    return (kind, CAUSAL) if either else (kind,)


def _named(config: Any) -> list[str]:
    return [name for name in config.architectures or [] if isinstance(name, str)]


def _is_mapped(config: Any, kind: Kind) -> bool:
    return type(config) in AUTO_CLASSES[kind]._model_mapping


def _suits(name: str, kind: Kind, config: Any) -> bool:
    """Whether an architecture is what the auto class of this kind builds, or has the same head beside others."""
    if name == NAMES[kind].get(type(config).model_type):
        return True
    if kind == MASKED:
        return name.endswith("ForMaskedLM") or (name.endswith("ForPreTraining") and name not in DISCRIMINATORS)
    return name.endswith(CAUSAL_ENDINGS)


def _looks_left_only(config: Any) -> bool:
    """XLM and FlauBERT have one class for both kinds, and a setting that tells them apart."""
    return bool(vars(config).get("causal"))


def _inner_type(config: Any) -> str:
    """The model_type of the language model inside a model of images or sound; "" where there is none."""
    inner = vars(config).get("text_config")
    return "" if inner is None else str(inner.model_type)


def _refused(config: Any, name: str) -> BadBase:
    """Why it is none, and what to give instead."""
    classes, inner = ", ".join(_named(config)) or "no architecture named", _inner_type(config)
    if DISCRIMINATORS.intersection(_named(config)):
        return BadBase(
            f"{name!r} ({classes}) is a discriminator, which tells replaced tokens apart and predicts none: give the "
            "generator that it was trained with, which is a masked language model."
        ).known_as("load.base_discriminator", name=name, classes=classes)
    if inner:
        return BadBase(
            f"{name!r} ({classes}) reads images or sound beside texts, and transformers loads it as no language model: "
            f"give the language model inside it ({inner}), saved by itself."
        ).known_as("load.base_with_senses", name=name, classes=classes, inner=inner)
    return BadBase(
        f"{name!r} ({classes}) is neither a masked nor a causal nor an encoder-decoder language model: give the base "
        "model the GRADIEND was trained on."
    ).known_as("load.base_no_language_model", name=name, classes=classes)


def name_of(location: str) -> str:
    """The last part of a path, or a Hub id as it is."""
    return Path(location).name if os.path.isabs(location) or os.path.isdir(location) else location
