"""How many weights a configuration asks for, found out before one is allocated. Knows classes of models; no weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from gradiend_ui.engine.base_files import check_described
from gradiend_ui.engine.trust import Trust


def check_size(auto_class: Any, config: Any, location: str, trust: Trust) -> None:
    """Raises TooLarge for a model of more weights than are read for `trust`, and BadBase where its `config` describes
    far more of them than the files of the folder `location` hold."""
    with torch.device("meta"):
        model = auto_class.from_config(config)
    numbers = [parameter.numel() for parameter in model.parameters()]
    described = sum(numbers) + sum(buffer.numel() for buffer in model.buffers())
    trust.check_parameters(described, Path(location).name if os.path.isdir(location) else location)
    if os.path.isdir(location):
        check_described(described, len(numbers), Path(location), trust)
