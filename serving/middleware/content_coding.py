"""Content codings of request bodies (RFC 9110, 8.4): gzip and deflate, decoded chunk by chunk within a limit."""

import zlib

CODINGS = frozenset({"gzip", "x-gzip", "deflate"})
"""Supported codings. Others would need further libraries, and hardly any client sends them."""

_AUTO_HEADER, _NO_HEADER = zlib.MAX_WBITS + 32, -zlib.MAX_WBITS
"""Window bits for zlib: with a gzip or zlib header, or without one, as some clients send deflate."""


class CodingError(ValueError):
    """The body is not what its ``Content-Encoding`` says."""


class Inflater:
    """Decoder of one body."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_AUTO_HEADER)
        self._started = False

    @property
    def complete(self) -> bool:
        """Whether the body may end here."""
        return self._stream.eof

    def inflate(self, data: bytes, max_bytes: int) -> bytes:
        """Return the decoded *data*: at most *max_bytes*, plus one byte that shows that there is more.

        Raises:
            CodingError: *data* is not in a supported coding.
        """
        decoded = b""
        while data and len(decoded) <= max_bytes:
            if self._stream.eof:
                # A gzip file may consist of several members.
                self._stream = zlib.decompressobj(_AUTO_HEADER)
            decoded += self._decompress(data, max_bytes + 1 - len(decoded))
            data = self._stream.unused_data
        return decoded

    def _decompress(self, data: bytes, max_bytes: int) -> bytes:
        try:
            return self._stream.decompress(data, max_bytes)
        except zlib.error:
            if self._started:
                raise CodingError from None
        finally:
            self._started = True
        self._stream = zlib.decompressobj(_NO_HEADER)
        try:
            return self._stream.decompress(data, max_bytes)
        except zlib.error:
            raise CodingError from None
