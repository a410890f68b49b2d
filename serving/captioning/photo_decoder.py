"""Photo decoding: bounded in parallelism, because large photos take much memory, and followed by moderation."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

from PIL.Image import Image

from serving.captioning.moderation import ModerationUnavailableError, Moderator
from serving.http.problems import ProblemError
from snap2caption.images import WORKING_SIDE, ImageError, decode

logger = logging.getLogger(__name__)

_DECODERS = 2
"""The number of photos decoded at once. A large one takes up to 800 MB while it is decoded."""


class PhotoDecoder:
    """Decodes uploaded photos in a thread pool, and rejects those that *moderator* does not allow."""

    def __init__(self, max_pixels: int, moderator: Moderator | None) -> None:
        self._max_pixels = max_pixels
        self._moderator = moderator
        self._pool = ThreadPoolExecutor(_DECODERS, "decode")

    def close(self) -> None:
        """Stop the decoder threads."""
        self._pool.shutdown(cancel_futures=True)

    async def decode(self, data: bytes, name: str) -> Image:
        """Return the photo, at most `WORKING_SIDE` pixels on a side. *name* is what errors call it.

        Raises:
            ProblemError: the photo can't be decoded, is not allowed, or can't be checked now.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._decode_and_check, data, name)
        except ImageError as error:
            status = (
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE if error.reason == "too_large" else HTTPStatus.UNPROCESSABLE_ENTITY
            )
            raise ProblemError(status, f"image_{error.reason}", str(error)) from error
        except ModerationUnavailableError as error:
            logger.warning("photos can't be moderated, so requests get 503: %s", error)
            raise ProblemError(
                HTTPStatus.SERVICE_UNAVAILABLE, "moderation", "The photo can't be checked now; try again later.", 10
            ) from error

    def _decode_and_check(self, data: bytes, name: str) -> Image:
        photo = decode(data, max_pixels=self._max_pixels, max_side=WORKING_SIDE, name=name)
        if self._moderator and (reason := self._moderator(photo)):
            raise ProblemError(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "image_not_allowed",
                f"{name} is not captioned ({reason}); send another one.",
            )
        return photo
