"""What the API's description says beyond what FastAPI finds by itself: the body that may come in two forms, and the keys."""

from collections.abc import Iterable, Sequence
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from serving.access import KEY_HEADER
from serving.paths import OPEN
from serving.problems import MEDIA_TYPE, ProblemBody


def problems(statuses: Iterable[int]) -> dict[int | str, dict[str, Any]]:
    """Return the description of refusals with *statuses*, for a route's ``responses``."""
    return {status: {"model": ProblemBody, "content": {MEDIA_TYPE: {}}} for status in statuses}


def describe(app: FastAPI, bodies: Sequence[type[BaseModel]], *, with_keys: bool) -> None:
    """Complete the description of *app*, whose routes refer to *bodies*."""
    document = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema:
            return app.openapi_schema
        schema = document()
        for body in bodies:
            models = body.model_json_schema(ref_template="#/components/schemas/{model}")
            schema["components"]["schemas"].update(models.pop("$defs", {}))
            schema["components"]["schemas"][body.__name__] = models
        for path in schema["paths"].values():
            for operation in path.values():
                for status, answer in operation["responses"].items():
                    # FastAPI describes a problem as plain JSON beside what it is sent as.
                    if int(status) >= 400 and MEDIA_TYPE in answer.get("content", {}):
                        answer["content"] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemBody"}}}
        if with_keys:
            schema["components"]["securitySchemes"] = {"key": {"type": "apiKey", "in": "header", "name": KEY_HEADER}}
            for name, path in schema["paths"].items():
                for operation in path.values():
                    operation["security"] = [] if name in OPEN else [{"key": []}]
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
