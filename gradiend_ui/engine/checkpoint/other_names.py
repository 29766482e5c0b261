"""What a model of the `gradiend` package has and `ModelWithGradiend` has not, each with the way out.

Knows texts only, and the sentence that is made of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gradiend_ui.engine.errors import NotHere, refuse_name

_MODULE = "it is no torch module: base_model is the transformers model, gradiend holds encoder and decoder"
_KIND = "base.kind tells the kind of the model"
_GRADIENTS = "encode(text, label) makes the gradient and encodes it"

_OF_A_TORCH_MODULE = """
    T_destination add_module apply bfloat16 buffers call_super_init children compile double dump_patches eval
    extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half ipu load_state_dict modules
    mtia named_buffers named_children named_modules named_parameters parameters register_backward_hook
    register_buffer register_forward_hook register_forward_pre_hook register_full_backward_hook
    register_full_backward_pre_hook register_load_state_dict_post_hook register_load_state_dict_pre_hook
    register_module register_parameter register_state_dict_post_hook register_state_dict_pre_hook requires_grad_
    set_extra_state set_submodule share_memory state_dict to_empty train training type xpu zero_grad
"""

MODEL_NAMES: Mapping[str, str] = {
    "create_gradients": _GRADIENTS,
    "create_inputs": _GRADIENTS,
    "exclusive_base_gradient_access": "nothing else writes gradients into the base model: leave it out",
    "forward_clm_gradients": _GRADIENTS,
    "is_decoder_only_model": _KIND,
    "is_seq2seq_model": _KIND,
    "mask_and_encode": "mask a word yourself and call encode(masked_text, label=word)",
    "place_for_evaluation": "call to(device)",
    "seq2seq_gradient_mode": _KIND,
    "use_seq2seq_encoder_mlm": "base.objective tells how the model is scored",
    **dict.fromkeys(_OF_A_TORCH_MODULE.split(), _MODULE),
}
"""Methods and properties."""

_SHAPE = "the checkpoint says it: leave it out"
NOT_IN_LOADING: Mapping[str, str] = {
    "activation_decoder": _SHAPE,
    "activation_encoder": _SHAPE,
    "base_model_max_memory": "give device_map",
    "bias_decoder": _SHAPE,
    "encoder_decoder_same_device": "give device, or device_encoder and device_decoder",
    "latent_dim": _SHAPE,
    "lazy_init": "a trained GRADIEND is always loaded whole: leave it out",
    "param_map": _SHAPE,
    "params": _SHAPE,
    "source": _SHAPE,
    "target": _SHAPE,
    "training_args": "give torch_dtype, device_map and prediction_objective by themselves",
    "trust_remote_code": "no remote code is run: convert the model first",
}
"""Arguments of `from_pretrained`."""
NOT_IN_MAKING: Mapping[str, str] = dict.fromkeys(
    ("base_model", "gradiend", "gradient_creator", "source", "target", "tokenizer"),
    "from_pretrained() makes one from its files, and train() from a base model",
)
"""Arguments of making one."""
NOT_IN_SAVING: Mapping[str, str] = {
    "training": "training.json of the checkpoint is written again as it is: leave it out",
}
"""Arguments of `save_pretrained`."""


class UnlikeTheReference:
    """Raises NotHere, with what to do instead, for what a model of the reference has and ours has not."""

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            refuse_name("ModelWithGradiend", name, MODEL_NAMES, NotHere)
            return object.__getattribute__(self, name)
