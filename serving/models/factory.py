"""Model manager factory: what is served, by which loader, and whom it trusts, from the settings."""

from serving.engines.factory import make_loader
from serving.models.manager import ModelManager
from serving.models.trust import TrustPolicy
from serving.models.untrained import UntrainedModel
from serving.settings import ServingSettings
from snap2caption.registry.client import Registry
from snap2caption.settings import Settings


def make_manager(settings: ServingSettings, shared: Settings, *, one_shot: bool = False) -> ModelManager:
    """Return a manager, not started yet, of the champion or of the model that the settings name.

    Before it goes into service, a model must caption a test picture. For a single post (*one_shot*), it need not: the
    post itself shows whether it works.
    """
    loader = make_loader(settings, one_shot=one_shot)
    settings.cache_dir.mkdir(parents=True, exist_ok=True)
    return ModelManager(
        Registry(shared.mlflow_tracking_uri, shared.registered_model),
        loader,
        settings.cache_dir,
        poll_seconds=settings.poll_seconds,
        trust=TrustPolicy.of(settings, shared.models_dir),
        canary_share=settings.canary_share,
        untrained=UntrainedModel(settings.model, loader, shared.models_dir, probes=not one_shot)
        if settings.model
        else None,
        switch_to_champion=settings.switch_to_champion,
        probes=not one_shot,
    )
