"""JSON documents as immutable Pydantic models."""

from pydantic import BaseModel, ConfigDict, ValidationError


class FrozenModel(BaseModel):
    """An immutable document."""

    model_config = ConfigDict(frozen=True)


class StrictDocument(FrozenModel):
    """An immutable document that rejects unknown fields."""

    model_config = ConfigDict(extra="forbid")


class ScoreDocument(FrozenModel):
    """A document with scores. A score may be NaN, and the gate must see it.

    As a string, a NaN survives in strict JSON (RFC 8259), and becomes a float again when it is read.
    """

    model_config = ConfigDict(ser_json_inf_nan="strings")


def first_fault(error: ValidationError) -> str:
    """Return the first fault of a document in one line: the field, or ``JSON`` for the whole, and what is wrong."""
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"])) or "JSON"
    return f"{place}: {first['msg']}"
