"""The intake of feedback as a process of its own, without a model."""

import os
import sys
from pathlib import Path

from demo.stack.ports import HOST, Ports
from demo.stack.service import Service


def intake(folder: Path, feedback_uri: str, **settings: str) -> Service:
    """Return how to run it with its state under *folder*; *settings* are those of `serving.settings`, or variables of
    the store.
    """
    port = Ports(folder / "ports.json").get("feedback")
    names = {
        name if name.isupper() else f"SNAP2CAPTION_SERVING_{name.upper()}": value for name, value in settings.items()
    }
    return Service(
        name="intake",
        command=(sys.executable, "-m", "snap2caption", "serve-feedback", "--port", str(port)),
        environment={
            **os.environ,
            "SNAP2CAPTION_STATE_DIR": str(folder / "state"),
            "SNAP2CAPTION_FEEDBACK_URI": feedback_uri,
            **names,
        },
        ready_url=f"http://{HOST}:{port}/healthz",
    )
