"""Errors of image decoding."""

from snap2caption.errors import UserError


class ImageError(UserError):
    """The bytes are not a photo that we take; ``reason`` is a short word for counting."""

    def __init__(self, reason: str, message: str) -> None:
        """Keep *reason* beside the message."""
        super().__init__(message)
        self.reason = reason
