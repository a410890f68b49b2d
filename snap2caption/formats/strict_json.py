"""Strict JSON (RFC 8259): numbers are finite, as Airflow's XCom, PostgreSQL and most parsers require."""

import json
from typing import Any

from pydantic import BaseModel


def to_document(model: BaseModel) -> dict[str, Any]:
    """Return *model* as strict JSON data.

    A NaN or an infinity becomes a string or null, as the class specifies (``ser_json_inf_nan``).
    ``model_dump(mode="json")`` would leave a float, which `json.dumps` writes as NaN.
    """
    found: dict[str, Any] = json.loads(model.model_dump_json())
    return found
