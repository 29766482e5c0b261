"""The chat prompt that instruction-tuned bases are read through.

`gradiend` 0.2.3 puts every text that it scores into a Llama 3 chat prompt when the path or name of the tokenizer holds
"instruct". The words of the prompt enter the numbers, so they stand here to the letter (from `gradiend` 0.2.3,
Apache-2.0). Knows strings; no tokenizer, no model. Targets and continuations are never wrapped.
"""

from __future__ import annotations

from gradiend_ui.engine.answers.remarks import remark

SYSTEM_WORDS = (
    "\n    You are a language model that completes sentences. Predict the next word that naturally follows the given"
    " text. \n    Return only that word — no punctuation, no quotes, and no explanations.\n    "
)
BEGIN, END_OF_TURN = "<|begin_of_text|>", "<|eot_id|>"
CHAT_WARNING = remark("chat_prompt")


def named_instruct(location: str) -> bool:
    """Whether the reference would wrap the texts of a base with this path or name."""
    return "instruct" in location.lower()


def in_chat_prompt(text: str) -> str:
    """`text` as the user's turn, up to where the assistant would begin to answer. Special tokens are spelled out."""
    return "".join(
        (
            BEGIN,
            f"{_header('system')}{SYSTEM_WORDS}\n{END_OF_TURN}",
            f"{_header('user')}{text}\n{END_OF_TURN}",
            _header("assistant"),
        )
    )


def _header(speaker: str) -> str:
    return f"<|start_header_id|>{speaker}<|end_header_id|>\n"
