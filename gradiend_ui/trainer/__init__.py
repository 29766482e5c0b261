"""The Python API with the spelling of the `gradiend` package."""

from gradiend_ui.engine.errors import refuse_name
from gradiend_ui.trainer.arguments import PostPruneConfig, PrePruneConfig, TrainingArguments
from gradiend_ui.trainer.config import TextPredictionConfig
from gradiend_ui.trainer.not_here import NAMES
from gradiend_ui.trainer.text_prediction import TextPredictionTrainer

__all__ = ["PostPruneConfig", "PrePruneConfig", "TextPredictionConfig", "TextPredictionTrainer", "TrainingArguments"]


def __getattr__(name: str) -> object:
    refuse_name(__name__, name, NAMES)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
