"""The Python API with the spelling of the `gradiend` package."""

from gradiend_ui.trainer.arguments import TrainingArguments
from gradiend_ui.trainer.text_prediction import TextPredictionTrainer

__all__ = ["TextPredictionTrainer", "TrainingArguments"]
