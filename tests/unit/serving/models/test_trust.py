from pathlib import Path

import pytest

from serving.models.trust import DistrustedError, DistrustReason, TrustPolicy
from snap2caption.registry.adapters import WEIGHTS, digest_of
from snap2caption.registry.versions import ModelVersion

pytestmark = pytest.mark.unit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HUB = "llava-hf/llava-1.5-7b-hf"


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / WEIGHTS).write_bytes(b"weights")
    (folder / "adapter_config.json").write_bytes(b"{}")
    return folder


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    (folder / "demo-base").mkdir(parents=True)
    (folder / "demo-base" / "config.json").write_bytes(b"{}")
    return folder


def version(adapter: Path, base: str = "demo-base", revision: str = "abc") -> ModelVersion:
    return ModelVersion(3, "run", base, revision, "data", "file:///d", adapter_sha256=digest_of(adapter))


def reason(trust: TrustPolicy, found: ModelVersion, adapter: Path) -> DistrustReason | None:
    try:
        trust.check("snap2caption", found, adapter)
    except DistrustedError as error:
        return error.reason
    return None


@pytest.mark.parametrize(
    ("bases", "base", "revision", "found"),
    [
        ((), "demo-base", "abc", None),
        ((), HUB, COMMIT, DistrustReason.BASE),
        ((HUB,), HUB, COMMIT, None),
        ((HUB,), HUB, "main", DistrustReason.BASE),
        ((HUB,), "llava-hf/another", COMMIT, DistrustReason.BASE),
        ((HUB,), "no-such-folder", COMMIT, DistrustReason.BASE),
        (None, HUB, "main", None),
    ],
)
def test_bases_are_in_the_models_folder_or_listed(
    models: Path, adapter: Path, bases: tuple[str, ...] | None, base: str, revision: str, found: DistrustReason | None
) -> None:
    trust = TrustPolicy(models, None if bases is None else frozenset(bases))
    assert reason(trust, version(adapter, base, revision), adapter) is found


def test_an_adapter_is_the_one_that_was_promoted(models: Path, adapter: Path) -> None:
    trust, good = TrustPolicy(models), version(adapter)
    assert reason(trust, good, adapter) is None
    (adapter / "more.json").write_bytes(b"{}")
    assert reason(trust, good, adapter) is DistrustReason.DIGEST
    (adapter / "more.json").unlink()
    (adapter / WEIGHTS).write_bytes(b"weight")
    assert reason(trust, good, adapter) is DistrustReason.DIGEST
    (adapter / WEIGHTS).write_bytes(b"weights")
    (adapter / "adapter_config.json").rename(adapter / "config.json")
    assert reason(trust, good, adapter) is DistrustReason.DIGEST
