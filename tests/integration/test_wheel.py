"""The wheel, installed outside the checkout: it works there, and says what is missing."""

import re
import shutil
from pathlib import Path

import patience
import pytest
from demo_service import BASE, remember_adapter
from installed import Installed, build_wheel
from openai_server import openai_server
from photos import real_photos

from demo.stack.ports import HOST, Ports
from demo.stack.service import Service
from demo.stack.stack import Stack

pytestmark = pytest.mark.integration

NO_REGISTRY = {"SNAP2CAPTION_MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a service keeps of the champion, for a start while the registry is away."""
    folder = tmp_path_factory.mktemp("adapters")
    remember_adapter(folder, (folder / "nowhere").as_uri())
    return folder


def caption(installed: Installed, adapters: Path, **settings: str) -> str:
    """Serve, and return the post that the command line gets for a photo. The page and its script are there, too."""
    shutil.copytree(adapters, installed.state / "serving")
    port = Ports(installed.folder / "ports.json").get("serving")
    url = f"http://{HOST}:{port}"
    service = Service(
        name="serving",
        command=(str(installed.command), "serve", "--port", str(port)),
        environment=installed.environment(**NO_REGISTRY, **settings),
        ready_url=f"{url}/readyz",
        grace=5.0,
    )
    with Stack(installed.folder) as stack:
        stack.start([service])
        done = installed.run("caption", str(real_photos()[0]), "--url", url)
        page = patience.get(f"{url}/")
        [script] = re.findall(r'src="\./(assets/[^"]+\.js)"', page.text)
        assert patience.get(f"{url}/{script}").headers["content-encoding"] in {"br", "gzip"}
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_from_a_corpus_to_a_captioned_photo(wheel: Path, adapters: Path, tmp_path: Path) -> None:
    installed = Installed.make(wheel, tmp_path / "installed", ("etl", "serving"))
    assert installed.run("--version").stdout == f"snap2caption {wheel.name.split('-')[1]}\n"
    dags = Path(installed.run("dags", "--path").stdout.strip())
    assert dags.is_relative_to(installed.folder)
    assert (dags / "training_dag.py").is_file()

    for arguments in (
        ("sample-corpus", "--out", "corpus.zip", "--pairs", "30"),
        ("transform", "corpus.zip", "--out", "datasets", "--cities", "all"),
    ):
        done = installed.run(*arguments)
        assert done.returncode == 0, done.stderr
    loaded = installed.run("load", done.stdout.strip(), (installed.folder / "store").as_uri())
    assert loaded.returncode == 0, loaded.stderr

    assert caption(installed, adapters, SNAP2CAPTION_SERVING_MAX_NEW_TOKENS="8").strip()
    packages = installed.command.parents[1] / "lib"
    assert not [*packages.rglob(".snap2caption")]


def test_a_gateway_needs_no_torch(wheel: Path, adapters: Path, tmp_path: Path) -> None:
    installed = Installed.make(wheel, tmp_path / "gateway", ("gateway",))
    assert not [*installed.folder.glob("lib/python3*/site-packages/torch")]
    with openai_server("secret", BASE) as server:
        settings = {"SNAP2CAPTION_SERVING_ENGINE_URL": server.url, "SNAP2CAPTION_SERVING_ENGINE_KEY": "secret"}
        assert "Golden hour again." in caption(installed, adapters, **settings)
    port = str(Ports(installed.folder / "ports.json").get("without-torch"))
    assert "its extra `serving`" in installed.run("serve", "--port", port).stderr


def test_without_extras_a_command_runs_or_names_its_extra(wheel: Path, tmp_path: Path) -> None:
    installed = Installed.make(wheel, tmp_path / "base")
    assert installed.run("sample-corpus", "--out", "corpus.zip", "--pairs", "4").returncode == 0
    for extra, *arguments in (
        ("etl", "transform", "corpus.zip", "--out", "datasets"),
        ("feedback", "label-studio-webhook"),
        ("training", "train", "--config", "demo", "data.uri=file:///nowhere"),
        ("serving", "serve"),
        ("demo", "demo"),
    ):
        done = installed.run(*arguments)
        assert done.returncode == 1
        [line] = done.stderr.splitlines()
        assert line.startswith("error: ")
        assert f"its extra `{extra}`" in line
