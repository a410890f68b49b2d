"""OpenAPI description of the service as a file: ``python -m docsite.openapi FILE``."""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import snap2caption as snap2caption  # it switches the usage reporting of libraries off

Schema = dict[str, Any]


def describe() -> Schema:
    """Return the OpenAPI description of a service with keys and feedback. It starts nothing."""
    from serving.app import build_app
    from serving.feedback.service import open_feedback_service
    from serving.settings import ServingSettings

    with TemporaryDirectory() as name:
        folder = Path(name)
        settings = ServingSettings(
            cache_dir=folder, voice_file=folder / "voice.sqlite", feedback_dir=folder, api_key_hashes=("0" * 64,)
        )
        feedback = open_feedback_service(settings, folder.as_uri())
        return build_app(settings, lambda: None, feedback_service=feedback).openapi()


def as_json(description: Schema) -> str:
    """Return *description* as a JSON document."""
    return json.dumps(description, indent=1, ensure_ascii=False)


def main(arguments: list[str]) -> int:
    """Write the description; return the exit status."""
    if len(arguments) != 1:
        print("error: Give one file to write.", file=sys.stderr)
        return 2
    path = Path(arguments[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(as_json(describe()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
