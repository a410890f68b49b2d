from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowException
from archives import zip_of

from demo.stack import Stack
from demo.stack.ports import Ports
from demo.stack.services.files import files
from plugins.operators.etl import ExtractOperator

pytestmark = pytest.mark.integration

CONTENT = zip_of(b"0123456789")


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("SNAP2CAPTION_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("files")
    service, address = files(folder / "corpus", Ports(folder / "ports.json"))
    (folder / "corpus" / "a.zip").write_bytes(CONTENT)
    with Stack(folder) as stack:
        stack.start([service])
        yield f"{address}/a.zip"


def test_the_empty_fields_of_the_form_check_nothing(state: Path, url: str) -> None:
    path = ExtractOperator(task_id="extract", sha256="", size=0).execute({"params": {"urls": [url]}})
    assert Path(path) == state / "downloads" / "a.zip"
    assert Path(path).read_bytes() == CONTENT


def test_the_size_of_the_form_is_checked(state: Path, url: str) -> None:
    with pytest.raises(AirflowException, match="bytes, not the requested 11"):
        ExtractOperator(task_id="extract", sha256="", size=11).execute({"params": {"urls": [url]}})
