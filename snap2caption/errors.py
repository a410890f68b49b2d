"""Errors that a user can act on."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

from snap2caption.redaction import redact


class UserError(Exception):
    """The work can't be done, for a reason outside the code.

    Its message is one clear sentence (or two) that says what is wrong and what to do next. The command line prints
    it without a traceback and exits with status 1; the service turns it into a problem body. URLs in it are
    redacted, since it is printed, logged, and sometimes stored.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(redact(str(message)))


class StoppedError(UserError):
    """The work was asked to stop. It can be resumed."""


def validation_message(error: "ErrorDetails") -> str:
    """Return what is wrong in one of pydantic's errors, without the prefix that it gives to a `ValueError`."""
    return str(error["msg"]).removeprefix("Value error, ")
