"""What the API's description says beyond what FastAPI finds by itself: the body that may come in two forms, and the keys."""

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from serving.http.problems import MEDIA_TYPE, ProblemBody
from serving.paths import METRICS, OPEN

KEY_HEADER = "X-API-Key"

_REFERENCE = "#/components/schemas/{model}"

ALIASES = "aliases"
"""The tag of routes that are there under another path too."""


def form(options: type[BaseModel], image: dict[str, Any], rules: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a form with the fields of *options* and with *image*, and *rules* on them. It has no null: a field is left out."""
    schema = options.model_json_schema(ref_template=_REFERENCE)
    properties = {"image": image}
    for name, field in schema["properties"].items():
        choices = [choice for choice in field.get("anyOf", ()) if choice != {"type": "null"}]
        properties[name] = {**field, "anyOf": choices} if choices else field
    return {"type": "object", "properties": properties, "additionalProperties": False, **rules}


def problems(statuses: Iterable[int]) -> dict[int | str, dict[str, Any]]:
    """Return the description of refusals with *statuses*, for a route's ``responses``."""
    return {status: {"model": ProblemBody, "content": {MEDIA_TYPE: {}}} for status in statuses}


METRICS_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The metrics, as text.", "content": {"text/plain": {"schema": {"type": "string"}}}},
    **problems((401, 429)),
}
"""What the metrics' route answers, for its ``responses``."""


def describe(app: FastAPI, bodies: Sequence[type[BaseModel]], *, with_keys: bool, with_metrics_token: bool) -> None:
    """Complete the description of *app*, whose routes refer to *bodies*."""
    document = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema:
            return app.openapi_schema
        schema = document()
        for body in bodies:
            models = body.model_json_schema(ref_template=_REFERENCE)
            schema["components"]["schemas"].update(models.pop("$defs", {}))
            schema["components"]["schemas"][body.__name__] = models
        for path in schema["paths"].values():
            for operation in path.values():
                # Before the routes: a body that is too large, and without keys what a page of another origin asks for.
                for status in (*((413,) if "requestBody" in operation else ()), *(() if with_keys else (403, 421))):
                    refusal = {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {}}}
                    operation["responses"].setdefault(str(status), refusal)
                for status, answer in operation["responses"].items():
                    # FastAPI describes a problem as plain JSON beside what it is sent as.
                    if int(status) >= 400 and MEDIA_TYPE in answer.get("content", {}):
                        answer["content"] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemBody"}}}
        schemes = schema["components"].setdefault("securitySchemes", {})
        if with_keys:
            schemes["key"] = {"type": "apiKey", "in": "header", "name": KEY_HEADER}
            for name, path in schema["paths"].items():
                for operation in path.values():
                    operation["security"] = [] if name in OPEN else [{"key": []}]
        if with_metrics_token:
            schemes["metrics_token"] = {"type": "http", "scheme": "bearer"}
            schema["paths"][METRICS]["get"]["security"] = [{"metrics_token": []}]
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
