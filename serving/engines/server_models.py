"""Models of an OpenAI-compatible server: reading ``/v1/models``, and finding a model in it by name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from serving.engines.server_errors import EngineUnavailableError, shorten

_LISTED = 10
"""How many models an error lists."""

_DEFAULT_TAG = ":latest"
"""What Ollama adds to a name without a tag."""

_GGUF = re.compile(r"[.-]gguf(?::[^/]*)?$", re.IGNORECASE)
"""How the name of a GGUF file or repository ends; a repository's quantization may follow."""


@dataclass(frozen=True, slots=True)
class ServerModel:
    """A model that a server has."""

    id: str
    """Its name in requests."""
    context: int | None = None
    """Its context length in tokens, if the server reports it (vLLM does, as ``max_model_len``)."""


def read_models(payload: Any) -> list[ServerModel]:
    """Return the models in the body of ``/v1/models``.

    Raises:
        KeyError, TypeError, ValueError: the body does not follow the API.
    """
    # Ollama without models answers null.
    return [_read_model(entry) for entry in payload["data"] or ()]


def find_model(models: Sequence[ServerModel], name: str, address: str) -> ServerModel:
    """Return the model called *name*.

    Ollama's default tag may be missing. llama.cpp serves a file under its path or its repository; its name, or the
    beginning of its name up to the quantization, is enough if only one has it.

    Raises:
        EngineUnavailableError: there is no such model. The message lists the models at *address*.
    """
    wanted = name.removesuffix(_DEFAULT_TAG)
    for model in models:
        if name == model.id or wanted == model.id.removesuffix(_DEFAULT_TAG):
            return model
    files = [model for model in models if _is_file_of(model.id, name)]
    if len(files) == 1:
        return files[0]
    listed = ", ".join(shorten(model.id) for model in models[:_LISTED])
    more = f" and {len(models) - _LISTED} more" if len(models) > _LISTED else ""
    raise EngineUnavailableError(
        f"The model server at {address} has no model {shorten(name)}; "
        + (f"it has {listed}{more}. Name one of these" if models else "it has none. Load it there")
        + f" (Ollama: ollama pull {shorten(name)}), or start the server with the model."
    )


def _read_model(entry: Any) -> ServerModel:
    context = entry.get("max_model_len")
    return ServerModel(str(entry["id"]), int(context) if context else None)


def _is_file_of(identifier: str, name: str) -> bool:
    """Whether *identifier* is a GGUF file or repository, or a folder, of this name."""
    if not (_GGUF.search(identifier) or identifier.startswith("/")):
        return False
    file, wanted = (_stem(text) for text in (identifier, name))
    return bool(wanted) and file.startswith(wanted) and file[len(wanted) : len(wanted) + 1] in ("", "-", ".", "_")


def _stem(path: str) -> str:
    return _GGUF.sub("", path.lower().rstrip("/").rpartition("/")[2])
