"""Signatures from the gate through a real registry to the models in service."""

from collections.abc import Callable
from pathlib import Path

import pytest
from signing_keys import write_keys

from serving.engines.local.loader import LocalLoader
from serving.models.manager import ModelManager
from serving.models.probe import BrokenModelError
from serving.models.trust import DistrustReason, TrustPolicy
from serving.settings import ServingSettings
from snap2caption.registry.client import CHALLENGER
from snap2caption.settings import Settings
from training.evaluation.candidates import find_trained
from training.gate import promotion
from training.gate.promotion import open_registry
from training.tracking.runs import connect

pytestmark = pytest.mark.integration


def test_what_was_signed_at_promotion_is_served_alone(
    installation: Settings, train: Callable[[int], str], tmp_path: Path
) -> None:
    private, public = write_keys(tmp_path, "ours")
    apart = installation.model_copy(update={"registered_model": f"{installation.registered_model}-signed"})
    signing = apart.model_copy(update={"signing_key_file": private})
    registry = open_registry(apart)
    first, second = train(1), train(2)
    settings = ServingSettings(cache_dir=tmp_path, threads=1)
    trust = TrustPolicy(apart.models_dir, key=public, signed=True)
    models = ModelManager(
        registry, LocalLoader(settings, apart.models_dir), settings.cache_dir, poll_seconds=60, trust=trust
    )

    unsigned = promotion.promote(first, apart, force=True)
    with pytest.raises(BrokenModelError, match="SIGNING_KEY_FILE"):
        models.refresh()
    assert models.refused == (unsigned.version, DistrustReason.SIGNATURE)
    assert models.current() is None

    # The same model, promoted again by whoever holds the key.
    promotion.promote(first, signing, force=True)
    models.refresh()
    served = models.current()
    assert served is not None
    assert served.version.version == unsigned.version

    # The gate signs what it admits, and a signature is valid for its own version only.
    client = connect(apart.mlflow_tracking_uri)
    admitted = promotion.admit(find_trained(second, client, registry), client, registry, signing)
    registry.challenge(admitted)
    challenger = registry.by_alias(CHALLENGER)
    assert challenger is not None
    assert challenger.signature is not None
    assert served.version.signature is not None
    registry.keep_signature(challenger, served.version.signature)
    promotion.promote(second, apart, force=True)
    with pytest.raises(BrokenModelError, match="SIGNING_KEY_FILE"):
        models.refresh()
    assert models.refused == (admitted.version, DistrustReason.SIGNATURE)
    assert models.current() is served
