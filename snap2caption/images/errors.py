"""Errors of image decoding."""

from snap2caption.errors import UserError


class ImageError(UserError):
    """The bytes are not a photo that we accept. ``reason`` is a short machine-readable code."""

    def __init__(self, reason: str, message: str) -> None:
        """Keep *reason* with the message."""
        super().__init__(message)
        self.reason = reason
