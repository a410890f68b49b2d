"""Errors that a person can do something about."""


class UserError(Exception):
    """The work can't be done, for a reason outside the code.

    Its message is one clear sentence (or two) that says what is wrong and what to do next. The command line prints it without a traceback
    and exits with status 1; the service turns it into a problem body.
    """


class StoppedError(UserError):
    """The work was asked to stop, and can be gone on with."""
