"""Offline captioning: loads the champion in this process and captions one post."""

import asyncio
import uuid
from collections.abc import Sequence
from pathlib import Path

from serving.captioning.captioner import Captioner, ContentRules
from serving.client import read_photo
from serving.engines.factory import make_loader
from serving.http.problems import ProblemError
from serving.http.schemas import CaptionAnswer, Options
from serving.models.manager import ModelManager
from serving.models.trust import TrustPolicy
from serving.scheduling.batcher import Batcher
from serving.settings import ServingSettings
from snap2caption.errors import UserError
from snap2caption.registry.client import Registry
from snap2caption.settings import Settings, read_settings


def caption_once(photos: Sequence[Path], options: Options) -> CaptionAnswer:
    """Load the champion, caption the photos of one post, and unload it.

    Raises:
        UserError: there is no champion, a file is not a photo, or the request is refused.
    """
    settings, shared = read_settings(ServingSettings), Settings()
    rules = ContentRules.read(settings)
    content = [read_photo(photo) for photo in photos]
    settings.cache_dir.mkdir(parents=True, exist_ok=True)
    registry = Registry(shared.mlflow_tracking_uri, shared.registered_model)
    models = ModelManager(
        registry,
        make_loader(settings),
        settings.cache_dir,
        poll_seconds=60,
        trust=TrustPolicy.of(settings, shared.models_dir),
    )
    models.refresh()
    if models.current() is None:
        raise UserError(
            f"There is no champion in the registry at {registry.tracking_uri}; train and promote a model first."
        )
    batcher = Batcher(
        lambda _: models.current(),
        max_batch=len(photos),
        queue_size=len(photos),
        deadline=settings.deadline_seconds,
    )
    captioner = Captioner(batcher, settings, rules)
    try:
        return asyncio.run(captioner.caption(content, options, uuid.uuid4().hex))
    except ProblemError as problem:
        raise UserError(str(problem)) from problem
    finally:
        captioner.close()
        batcher.close()
