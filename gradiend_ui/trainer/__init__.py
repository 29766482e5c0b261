"""The Python API with the spelling of the `gradiend` package."""

from gradiend_ui.trainer.arguments import PostPruneConfig, PrePruneConfig, TrainingArguments
from gradiend_ui.trainer.config import TextPredictionConfig
from gradiend_ui.trainer.text_prediction import TextPredictionTrainer

__all__ = ["PostPruneConfig", "PrePruneConfig", "TextPredictionConfig", "TextPredictionTrainer", "TrainingArguments"]
