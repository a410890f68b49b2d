"""REST API reference: the service's OpenAPI description as Markdown, so that the site's search finds it."""

import json
from collections.abc import Iterator
from typing import Any

from docsite.markdown import cell, table
from docsite.openapi import Schema, as_json, describe

LIMITS = (
    ("minimum", "maximum", ""),
    ("minLength", "maxLength", " characters"),
    ("minItems", "maxItems", " items"),
)
"""OpenAPI's names for the limits of a number, a string and an array, and their unit."""

OPENAPI = "openapi.json"
INTRODUCTION = f"""# REST API

Every operation of a service with API keys and feedback, from its [OpenAPI description]({OPENAPI}).
A running service shows the same at `/docs`, where you can try it out.
[The API guide](../docs/api.md) says how to use it.
"""


def rest_api_pages() -> dict[str, str]:
    """Return the page's Markdown and the OpenAPI description, by file name."""
    description = describe()
    return {"rest.md": "\n".join(_page(description)), OPENAPI: as_json(description)}


def _page(description: Schema) -> Iterator[str]:
    yield INTRODUCTION
    for operation, names in _operations(description):
        yield from _operation(operation, names)
    yield from ("## Schemas", "")
    for name, schema in sorted(description["components"]["schemas"].items()):
        yield from (f"### {name}", "")
        yield from _schema(schema)


def _operations(description: Schema) -> Iterator[tuple[Schema, list[str]]]:
    """Yield each operation once, with all its names: method and path, the documented name first."""
    found: dict[str, tuple[Schema, list[str]]] = {}
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            same = {name: value for name, value in operation.items() if name not in ("operationId", "tags")}
            _, names = found.setdefault(json.dumps([method, same]), (operation, []))
            names.append(f"{method.upper()} {path}")
    yield from found.values()


def _operation(operation: Schema, names: list[str]) -> Iterator[str]:
    yield from (f"## {names[0]}", "")
    if aliases := names[1:]:
        yield from (f"The same as {' and '.join(f'`{name}`' for name in aliases)}.", "")
    for text in (operation.get("summary"), operation.get("description")):
        if text:
            yield from (f"{cell(text).rstrip('.')}.", "")
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        if "$ref" in content["schema"]:
            yield from (f"Body as `{kind}`: {_type(content['schema'])}", "")
        else:
            yield from (f"Body as `{kind}`:", "")
            yield from _schema(content["schema"])
    yield from table(
        ("Parameter", "In", "Type", "Description"),
        (
            (f"`{each['name']}`", each["in"], _type(each["schema"]), cell(each.get("description", "")))
            for each in operation.get("parameters", ())
        ),
    )
    yield from table(
        ("Status", "Meaning", "Answer"),
        (
            (status, cell(answer["description"]), _contents(answer.get("content", {})))
            for status, answer in sorted(operation["responses"].items())
        ),
    )


def _contents(contents: Schema) -> str:
    """Return each media type of a response with its schema."""
    schemas = {kind: content.get("schema", {}) for kind, content in contents.items()}
    return ", ".join(
        f"`{kind}`: {_type(schema)}" if "$ref" in schema else f"`{kind}`" for kind, schema in schemas.items()
    )


def _schema(schema: Schema) -> Iterator[str]:
    if text := schema.get("description"):
        yield from (cell(text), "")
    if "enum" in schema:
        yield from (_type(schema), "")
    required = schema.get("required", ())
    yield from table(
        ("Field", "Type", "Required", "Description"),
        (
            (f"`{name}`", _type(field), "yes" if name in required else "", _description(field))
            for name, field in schema.get("properties", {}).items()
        ),
    )


def _type(schema: Schema) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return " or ".join(_type(each) for each in schema[choice])
    kind: str = schema.get("type", "any")
    return f"array of {_type(schema['items'])}" if kind == "array" and "items" in schema else kind


def _description(field: Schema) -> str:
    """Return a field's description, limits, default and example."""
    parts = [cell(field.get("description", ""))]
    for schema in (field, *field.get("anyOf", ())):
        parts += [_limits(schema.get(low), schema.get(high), unit) for low, high, unit in LIMITS]
        if "exclusiveMaximum" in schema:
            parts.append(f"Below {_number(schema['exclusiveMaximum'])}.")
    if field.get("default") is not None:
        parts.append(f"Default: `{_literal(field['default'])}`.")
    if field.get("examples"):
        parts.append(f"Example: `{_literal(field['examples'][0])}`.")
    return " ".join(text for text in parts if text)


def _limits(low: float | None, high: float | None, unit: str) -> str:
    if low is not None and high is not None:
        return f"{_number(low)} to {_number(high)}{unit}."
    if low is not None:
        return f"At least {_number(low)}{unit}."
    return f"At most {_number(high)}{unit}." if high is not None else ""


def _number(value: float) -> str:
    return f"{value:.15g}"


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).replace("|", "\\|")
