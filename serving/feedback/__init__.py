"""Feedback: what creators say of captions, on its way to the store; `uvicorn serving.feedback:app --port 8010` runs the intake alone."""

from typing import Any


def __getattr__(name: str) -> Any:
    """Make the application when a server asks for it: a part of this package must not open files because it is imported."""
    if name != "app":
        raise AttributeError(name)
    from serving.feedback.alone import build_intake
    from serving.feedback.desk import open_desk
    from serving.settings import read_settings
    from snap2caption.settings import Settings

    settings = read_settings()
    return build_intake(settings, open_desk(settings, Settings().feedback_uri))
