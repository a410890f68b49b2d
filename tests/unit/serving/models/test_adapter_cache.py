from pathlib import Path

import pytest

from serving.models.adapter_cache import AdapterCache
from snap2caption.registry.adapters import WEIGHTS
from snap2caption.registry.client import Registry
from snap2caption.registry.signatures import _signed_folder
from snap2caption.registry.versions import ModelVersion

pytestmark = pytest.mark.unit

VERSION = ModelVersion(3, "run", "base", "rev", "data", "file:///nowhere")


def test_what_a_killed_process_left_is_removed_and_no_adapter(tmp_path: Path) -> None:
    cache = AdapterCache(Registry("http://127.0.0.1:9", "m"), tmp_path)
    adapter = tmp_path / "version-3-run"
    adapter.mkdir()
    (adapter / WEIGHTS).write_bytes(b"weights")
    (tmp_path / "download-abc").mkdir()
    verifying = _signed_folder(adapter, "m", VERSION)
    verifying.__enter__()  # and it is killed
    assert len(list(tmp_path.iterdir())) == 3
    cache.clean()
    assert list(tmp_path.iterdir()) == [adapter]
    assert (adapter / WEIGHTS).read_bytes() == b"weights"
