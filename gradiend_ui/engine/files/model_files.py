"""What the files of a model and of a GRADIEND are called. Knows names; reads nothing."""

from __future__ import annotations

CONFIG = "config.json"
MASK_HEAD = "config_mlm_head.json"
CONTEXT, TRAINING = "gradiend_context.json", "training.json"
WEIGHTS, PICKLED_WEIGHTS = WEIGHTS_FILES = ("model.safetensors", "pytorch_model.bin")
ANY_WEIGHTS, ANY_PICKLED_WEIGHTS = "model*.safetensors", "pytorch_model*.bin"
"""With the pieces of a model that is stored in several."""
SENTENCE_PIECES = (".model", ".spm")
UPLOADS = "uploads"
"""The folder, in a server's own, of what visitors brought."""
