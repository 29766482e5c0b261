"""The session's part for uploaded checkpoints: checked, unpacked under the data folder, named by their content.

Every refusal is a `GradiendUIError`.
"""

from __future__ import annotations

from gradiend_ui.ui.ground import Ground


class Uploads:
    def __init__(self, ground: Ground) -> None:
        self._ground = ground
