"""Offline captioning: loads the model in this process and captions posts."""

import asyncio
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from serving.captioning.captioner import Captioner
from serving.captioning.content_rules import ContentRules
from serving.engines.local.deferred_imports import defer_imports
from serving.http.problems import ProblemError
from serving.http.schemas import CaptionAnswer, Options
from serving.models.factory import make_manager
from serving.scheduling.batcher import Batcher
from serving.settings import ServingSettings
from snap2caption.errors import UserError
from snap2caption.settings import Settings


@contextmanager
def open_captioner(settings: ServingSettings) -> Iterator[Callable[[Sequence[bytes], Options], CaptionAnswer]]:
    """Load the model that *settings* name or else the champion, and unload it when the context ends.

    The yielded function captions the encoded photos of one post. It raises `UserError` if one is not a photo, or the
    request is refused.

    Raises:
        UserError: there is no such model, or it can't be loaded.
    """
    shared = Settings()
    rules = ContentRules.read(settings)
    models = make_manager(settings, shared, one_shot=True)
    if settings.model:
        # Only here: a service also loads adapters, and PEFT asks accelerate for its version.
        with defer_imports():
            models.serve_untrained()
    else:
        models.refresh()
    served = models.current()
    if served is None:
        raise UserError(
            f"There is no champion in the registry at {shared.mlflow_tracking_uri}; "
            "train and promote a model, or name one with --model."
        )
    batcher = Batcher(
        lambda _: served,
        max_batch=settings.max_batch,
        queue_size=settings.capacity,
        deadline=settings.deadline_seconds,
    )
    captioner = Captioner(batcher, settings, rules)

    def caption(photos: Sequence[bytes], options: Options) -> CaptionAnswer:
        try:
            return asyncio.run(captioner.caption(photos, options, uuid.uuid4().hex))
        except ProblemError as problem:
            raise UserError(str(problem)) from problem

    try:
        yield caption
    finally:
        captioner.close()
        # The engine stays open: closing it would unload its adapter from a server that others use as well.
        batcher.close()
