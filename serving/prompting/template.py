"""Prompt template interface: the prompts of an engine's model, and the cleaning of its replies."""

from typing import Protocol

from snap2caption.post import Request


class PromptTemplate(Protocol):
    """The prompts for one kind of model, and how its replies become posts. Templates are thread-safe."""

    token_factor: int
    """How many times the token limit of a caption a reply may take."""

    def caption(self, request: Request) -> str:
        """Return the prompt for a caption with hashtags, without the photo and the chat template."""
        ...

    def description(self, request: Request) -> str:
        """Return the prompt for the alt text, which may depend on the request's language."""
        ...

    def clean(self, reply: str, *, finished: bool) -> str:
        """Return a reply to the caption's prompt in the post format (`snap2caption.post.render`).

        Args:
            reply: the model's text so far.
            finished: whether the text is complete. If not, only text is returned that no further text can change.

        Returns:
            The caption and, on a line of their own, its hashtags; an empty string if the model refused.
        """
        ...

    def clean_description(self, reply: str) -> str:
        """Return a complete reply to the alt text's prompt as plain sentences."""
        ...
