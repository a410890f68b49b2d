"""Chat markup in user text: special tokens and roles of chat templates, turned into plain text.

We can ask our own tokenizer for its tokens (`snap2caption.vlm`), but not that of a remote server, and roles are
not tokens. So everything that looks like a special token or a role of any model family is broken up.
"""

import regex as re

_TOKEN = re.compile(r"<(?=[^<>\s]{1,80}>)|\[(?=/?(?:g?[A-Z][0-9A-Z_]+|control_[0-9]+)\])|<(?=<SYS>>|</SYS>>)")
"""Matches the first character of ``<image>``, ``</s>``, ``<|im_start|>``, ``<start_of_turn>``, ``[INST]``,
``[gMASK]``, ``<<SYS>>``.
"""

_ROLE = re.compile(
    r"\b(user|human|assistant|system|developer|tool|function|model|bot|ai|gpt|instruction|response|input|output)"
    r"(?:[\s\p{Default_Ignorable_Code_Point}]*[:\uFE13\uFE55\uFF1A])+",
    re.IGNORECASE,
)
"""``USER:``, ``ASSISTANT:``, ``### Response:``: LLaVA 1.5, Vicuna and Alpaca recognize the speaker by these alone.

All colons are removed at once, since one of ``USER::`` would remain. Invisible characters between the word and its
colon don't keep a model from reading a role.
"""


def without_markup(text: str) -> str:
    """Return *text* as one line without special tokens and roles: they become ``< image>`` and ``ASSISTANT``."""
    return str(_ROLE.sub(r"\1", _TOKEN.sub(lambda found: f"{found[0]} ", " ".join(text.split()))))
