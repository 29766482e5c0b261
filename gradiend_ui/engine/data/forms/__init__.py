"""Every form training data comes in, brought to one: checked rows with classes and splits.

`unify(data, form)` reads a frame, a frame per class, records, a file or a Hub data set; `training_rows` and
`evaluation_rows` choose from the result. Knows tables, files and (when installed) the package `datasets`; no tokenizer,
no model.
"""

from gradiend_ui.engine.data.forms.choice import (
    chosen_pair,
    evaluation_rows,
    require_training_splits,
    rows_of_split,
    split_for_role,
    split_names,
    training_labels,
    training_rows,
    transition_groups,
)
from gradiend_ui.engine.data.forms.form import HELDOUT, DataForm, split_ratios
from gradiend_ui.engine.data.forms.sources import Data, neutral_texts
from gradiend_ui.engine.data.forms.unified import UnifiedData, resplit, unified_frame, unify

__all__ = [
    "HELDOUT",
    "Data",
    "DataForm",
    "UnifiedData",
    "chosen_pair",
    "evaluation_rows",
    "neutral_texts",
    "require_training_splits",
    "resplit",
    "rows_of_split",
    "split_for_role",
    "split_names",
    "split_ratios",
    "training_labels",
    "training_rows",
    "transition_groups",
    "unified_frame",
    "unify",
]
