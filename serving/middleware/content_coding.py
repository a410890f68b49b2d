"""Content codings of request bodies (RFC 9110, 8.4): gzip and deflate, decoded piece by piece within a limit."""

import zlib

CODINGS = frozenset({"gzip", "x-gzip", "deflate"})
"""Those that are decoded. Others would need other libraries, and hardly any client sends them."""

_EITHER, _RAW = zlib.MAX_WBITS + 32, -zlib.MAX_WBITS
"""For zlib: with a header of gzip or zlib, or, as some clients send deflate, with none."""


class CodingError(ValueError):
    """The body is not what its ``Content-Encoding`` says."""


class Inflater:
    """Decodes one body."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_EITHER)
        self._started = False

    @property
    def complete(self) -> bool:
        """Whether the body may end here."""
        return self._stream.eof

    def inflate(self, data: bytes, most: int) -> bytes:
        """Return what *data* decode to: at most *most* bytes and one more, which tells that there would be more.

        Raises:
            CodingError: they don't.
        """
        found = b""
        while data and len(found) <= most:
            if self._stream.eof:
                # Gzip files are put one behind another.
                self._stream = zlib.decompressobj(_EITHER)
            found += self._decompress(data, most + 1 - len(found))
            data = self._stream.unused_data
        return found

    def _decompress(self, data: bytes, most: int) -> bytes:
        try:
            return self._stream.decompress(data, most)
        except zlib.error:
            if self._started:
                raise CodingError from None
        finally:
            self._started = True
        self._stream = zlib.decompressobj(_RAW)
        try:
            return self._stream.decompress(data, most)
        except zlib.error:
            raise CodingError from None
