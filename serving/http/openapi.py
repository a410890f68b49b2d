"""OpenAPI document: what FastAPI can't infer, such as bodies in two media types, refusals and API keys."""

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
"""Tag of routes that are also available under another path."""


def form_schema(options: type[BaseModel], image: dict[str, Any], rules: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of a form. It has no null: a form omits the field instead.

    Args:
        options: model whose fields the form has.
        image: schema of the field ``image``.
        rules: further keywords for the whole form.
    """
    schema = options.model_json_schema(ref_template=_REFERENCE)
    properties = {"image": image}
    for name, field in schema["properties"].items():
        choices = [choice for choice in field.get("anyOf", ()) if choice != {"type": "null"}]
        properties[name] = {**field, "anyOf": choices} if choices else field
    return {"type": "object", "properties": properties, "additionalProperties": False, **rules}


def problems(statuses: Iterable[int]) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI responses with problem bodies for *statuses*, for a route's ``responses``."""
    return {status: {"model": ProblemBody, "content": {MEDIA_TYPE: {}}} for status in statuses}


METRICS_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The metrics, as text.", "content": {"text/plain": {"schema": {"type": "string"}}}},
    **problems((401, 429)),
}
"""OpenAPI responses of the metrics route."""


def describe(app: FastAPI, bodies: Sequence[type[BaseModel]], *, with_keys: bool, with_metrics_token: bool) -> None:
    """Complete the OpenAPI document of *app*.

    Args:
        app: an application that has all its routes.
        bodies: models that the routes' request bodies refer to.
        with_keys: whether requests need an API key.
        with_metrics_token: whether the metrics need a token.
    """
    generate_schema = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema:
            return app.openapi_schema
        schema = generate_schema()
        for body in bodies:
            models = body.model_json_schema(ref_template=_REFERENCE)
            schema["components"]["schemas"].update(models.pop("$defs", {}))
            schema["components"]["schemas"][body.__name__] = models
        for path in schema["paths"].values():
            for operation in path.values():
                # Middleware refuses these before the routes: too large bodies and, without keys, cross-site requests.
                for status in (*((413,) if "requestBody" in operation else ()), *(() if with_keys else (403, 421))):
                    refusal = {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {}}}
                    operation["responses"].setdefault(str(status), refusal)
                for status, answer in operation["responses"].items():
                    # FastAPI adds application/json to the media type that a problem is sent as. Drop it.
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
