"""Prompt template of fine-tuned models: the prompts that they were trained with, and replies as they are."""

from snap2caption.post import DESCRIBE_PROMPT, Request, build_prompt


class TrainedTemplate:
    """The template of a fine-tuned adapter, which has learned the post format (`snap2caption.post`)."""

    token_factor = 1

    def caption(self, request: Request) -> str:
        """Return the training prompt."""
        return build_prompt(request)

    def description(self, request: Request) -> str:  # noqa: ARG002 - the base is asked the same question always
        """Return the question that the base answers without the adapter."""
        return DESCRIBE_PROMPT

    def clean(self, reply: str, *, finished: bool) -> str:  # noqa: ARG002 - the model writes the post format itself
        """Return *reply*."""
        return reply

    def clean_description(self, reply: str) -> str:
        """Return *reply*."""
        return reply
