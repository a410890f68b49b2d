"""MLflow pyfunc flavor of the model: ``mlflow.pyfunc.load_model("models:/snap2caption@champion")``.

MLflow runs this file when it logs a model and when it loads one (models from code), so nothing is pickled.
"""

import base64
import binascii
from dataclasses import asdict
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import AnyType

from snap2caption.errors import UserError
from snap2caption.images import decode
from snap2caption.post import Request, Tone, build_prompt, parse
from snap2caption.settings import Settings
from snap2caption.vlm import Decoding, load


class SnapCaptioner(mlflow.pyfunc.PythonModel):
    """Model with photos as input and posts as output.

    The input is a data frame with the column ``image`` (encoded photos, as bytes or base64) and optionally
    ``tone``.
    """

    def load_context(self, context: Any) -> None:
        """Load the adapter, and the base that it was trained on."""
        self.vlm = load(
            context.model_config["base"],
            Settings().models_dir,
            adapter=Path(context.artifacts["adapter"]),
            revision=context.model_config["base_revision"],
        )

    def predict(
        self,
        context: Any,  # noqa: ARG002 - MLflow requires this name
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """Return one post per image: ``caption``, ``hashtags``, ``alt_text``. *params* may hold ``max_new_tokens``."""
        photos = [decode(_bytes(image)) for image in model_input["image"]]
        tones = model_input["tone"] if "tone" in model_input else [None] * len(model_input)
        prompts = [build_prompt(Request(tone=Tone(tone) if tone else None)) for tone in tones]
        decoding = Decoding(max_new_tokens=int((params or {}).get("max_new_tokens", Decoding().max_new_tokens)))
        return [asdict(parse(answer.text)) for answer in self.vlm.generate(photos, prompts, decoding)]


def signature() -> ModelSignature:
    """Return the model's input schema. An image has the type "any", because both bytes and base64 text are accepted."""
    return ModelSignature(
        inputs=Schema([ColSpec(AnyType(), "image"), ColSpec("string", "tone", required=False)]),
        params=ParamSchema([ParamSpec("max_new_tokens", "integer", Decoding().max_new_tokens)]),
    )


def _bytes(image: bytes | str) -> bytes:
    if isinstance(image, bytes):
        return image
    try:
        return base64.b64decode(image, validate=True)
    except binascii.Error as error:
        raise UserError("The image is not base64; send the photo's bytes in base64.") from error


mlflow.models.set_model(SnapCaptioner())
