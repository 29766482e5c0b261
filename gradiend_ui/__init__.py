"""Train, evaluate, look at and export GRADIEND rewrites of language models.

    TextPredictionTrainer   train a GRADIEND, evaluate encoder and decoder, rewrite the base model, draw figures
    TrainingArguments       its settings of training and evaluation
    TextPredictionConfig    its data: columns, classes, splits, targets, neutral texts
    PrePruneConfig          keep the weights with the largest gradients, before a training
    PostPruneConfig         keep the weights that matter most, after it
    ModelWithGradiend       a trained GRADIEND with its base model: load, rewrite, encode, prune, save
    LMSThresholdPolicy      choose the best cell that keeps a share of the language-modelling score (LMS)
    LMSTimesMetricPolicy    choose the largest product of LMS and metric
    SelectionPolicy         what an object must have to choose: one method
    Candidate               a cell as a policy sees it
    BaseContext             what a policy knows of the base model
    load_training_stats     read training.json of a GRADIEND
    convert_research_checkpoint   write a GRADIEND of the papers' research code in today's format
    GradiendUIError         every refusal: a sentence, and a short `code`

Names and arguments are those of the `gradiend` package; assets/docs/coming-from-gradiend.md in the repository says
where the two differ. The names are handed out on first use: importing this package imports neither torch nor gradio.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradiend_ui.engine.errors import GradiendUIError as GradiendUIError
    from gradiend_ui.engine.export.research_format import convert_research_checkpoint as convert_research_checkpoint
    from gradiend_ui.engine.model import ModelWithGradiend as ModelWithGradiend
    from gradiend_ui.engine.selection.policies import BaseContext as BaseContext
    from gradiend_ui.engine.selection.policies import Candidate as Candidate
    from gradiend_ui.engine.selection.policies import LMSThresholdPolicy as LMSThresholdPolicy
    from gradiend_ui.engine.selection.policies import LMSTimesMetricPolicy as LMSTimesMetricPolicy
    from gradiend_ui.engine.selection.policies import SelectionPolicy as SelectionPolicy
    from gradiend_ui.engine.training.record import load_training_stats as load_training_stats
    from gradiend_ui.trainer import PostPruneConfig as PostPruneConfig
    from gradiend_ui.trainer import PrePruneConfig as PrePruneConfig
    from gradiend_ui.trainer import TextPredictionConfig as TextPredictionConfig
    from gradiend_ui.trainer import TextPredictionTrainer as TextPredictionTrainer
    from gradiend_ui.trainer import TrainingArguments as TrainingArguments

__version__ = "0.1.0"

_HOMES = {
    "BaseContext": "gradiend_ui.engine.selection.policies",
    "Candidate": "gradiend_ui.engine.selection.policies",
    "GradiendUIError": "gradiend_ui.engine.errors",
    "LMSThresholdPolicy": "gradiend_ui.engine.selection.policies",
    "LMSTimesMetricPolicy": "gradiend_ui.engine.selection.policies",
    "ModelWithGradiend": "gradiend_ui.engine.model",
    "PostPruneConfig": "gradiend_ui.trainer",
    "PrePruneConfig": "gradiend_ui.trainer",
    "SelectionPolicy": "gradiend_ui.engine.selection.policies",
    "TextPredictionConfig": "gradiend_ui.trainer",
    "TextPredictionTrainer": "gradiend_ui.trainer",
    "TrainingArguments": "gradiend_ui.trainer",
    "convert_research_checkpoint": "gradiend_ui.engine.export.research_format",
    "load_training_stats": "gradiend_ui.engine.training.record",
}
__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if not name.startswith("_"):
        not_here = import_module("gradiend_ui.trainer.not_here")
        import_module("gradiend_ui.engine.errors").refuse_name("gradiend_ui", name, not_here.NAMES)
    raise AttributeError(f"module 'gradiend_ui' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__


class _ModulesOfTheReference(MetaPathFinder):
    """Asked last, for modules that nobody has found: those of the reference are refused in a sentence."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, name = fullname.partition(".")
        if package == __name__ and name:
            not_here = import_module("gradiend_ui.trainer.not_here")
            found = next((one for one in not_here.MODULES if f"{name}.".startswith(f"{one}.")), None)
            if found is not None:
                raise import_module("gradiend_ui.engine.errors").NotAllowed(
                    f"There is no module {fullname}: {not_here.MODULES[found]}."
                )
        return None


sys.meta_path.append(_ModulesOfTheReference())
