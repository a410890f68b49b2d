"""Chat markup in what people write: the special tokens and the roles that chat templates are made of, as plain text.

A tokenizer of our own can be asked for its tokens (`snap2caption.vlm`); that of a server elsewhere can't, and roles are no tokens. So what looks like
either, in any family's template, is taken apart.
"""

import regex as re

_TOKEN = re.compile(r"<(?=[^<>\s]{1,80}>)|\[(?=/?(?:g?[A-Z][0-9A-Z_]+|control_[0-9]+)\])|<(?=<SYS>>|</SYS>>)")
"""The first character of ``<image>``, ``</s>``, ``<|im_start|>``, ``<start_of_turn>``, ``[INST]``, ``[gMASK]``, ``<<SYS>>``."""

_ROLE = re.compile(
    r"\b(user|human|assistant|system|developer|tool|function|model|bot|ai|gpt|instruction|response|input|output)"
    r"(?:[\s\p{Default_Ignorable_Code_Point}]*[:\uFE13\uFE55\uFF1A])+",
    re.IGNORECASE,
)
"""``USER:``, ``ASSISTANT:``, ``### Response:``: by these alone LLaVA 1.5, Vicuna and Alpaca know who speaks.

All colons go at once: of ``USER::`` one would be left. What nobody sees between the word and its colon keeps no model from reading a role.
"""


def without_markup(text: str) -> str:
    """Return *text* in one line in which no special token and no role is left: they become ``< image>`` and ``ASSISTANT``."""
    return str(_ROLE.sub(r"\1", _TOKEN.sub(lambda found: f"{found[0]} ", " ".join(text.split()))))
