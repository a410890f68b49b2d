"""Image digests, looked up in a registry that speaks the distribution protocol."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from web_server import listening

from snap2caption.settings import ROOT
from supply_chain.images import Image, ImageReferenceError, digest, disagreements, listed, parse, pin, unpinned

pytestmark = pytest.mark.unit

MANIFEST = b'{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}'
DIGEST = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"


def manifest(request: Request) -> Response:
    if request.headers.get("Authorization") != "Bearer of-library/base":
        realm = request.url_for("page" if request.path_params["tag"] == "tokenless" else "token")
        return Response(status_code=401, headers={"WWW-Authenticate": f'Bearer realm="{realm}",scope="library/base"'})
    assert "application/vnd.oci.image.index.v1+json" in request.headers["Accept"]
    if request.path_params["tag"] == "gone":
        return Response(status_code=404)
    false = request.path_params["tag"] == "false"
    return Response(MANIFEST, headers={"Docker-Content-Digest": f"sha256:{'0' * 64}" if false else DIGEST})


def token(request: Request) -> Response:
    return JSONResponse({"token": f"of-{request.query_params['scope']}"})


def page(_: Request) -> Response:
    return Response("<p>Under maintenance.</p>", media_type="text/html")


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    """The host and port of a registry that has ``library/base``."""
    routes = [Route("/v2/library/base/manifests/{tag}", manifest), Route("/token", token), Route("/page", page)]
    with listening(Starlette(routes=routes)) as url:
        yield url.removeprefix("http://").strip("/")


def write_project(root: Path, image: str) -> None:
    (root / "images.txt").write_text(f"# what ours is built on\ncpu   {image}\n")
    (root / "serving").mkdir()
    (root / "serving" / "Dockerfile").write_text(f"ARG BASE={image}\nFROM ${{BASE}} AS build\nFROM build\n")
    (root / "compose.yaml").write_text(
        f"services:\n  store:\n    image: {image}\n  ours:\n    image: snap2caption-serving\n"
    )


def test_a_tag_becomes_a_digest_wherever_it_is_named(registry: str, tmp_path: Path) -> None:
    image = f"{registry}/library/base:1.2"
    write_project(tmp_path, image)
    assert [str(each) for each in unpinned(tmp_path)] == [image]
    with httpx.Client() as client:
        assert [str(each) for each in pin(tmp_path, client)] == [f"{image}@{DIGEST}"]
        assert pin(tmp_path, client) == []
    for name in ("images.txt", "serving/Dockerfile", "compose.yaml"):
        assert (tmp_path / name).read_text().count(f"{image}@{DIGEST}") == 1
    assert unpinned(tmp_path) == []
    assert disagreements(tmp_path) == []


@pytest.mark.parametrize(
    ("tag", "told"),
    [("gone", "404"), ("false", "another digest than its content"), ("tokenless", "gave no token")],
)
def test_what_a_registry_does_not_give_is_written_nowhere(registry: str, tmp_path: Path, tag: str, told: str) -> None:
    image = f"{registry}/library/base:{tag}"
    write_project(tmp_path, image)
    with httpx.Client() as client, pytest.raises(ImageReferenceError, match=told):
        pin(tmp_path, client)
    assert [str(each) for each in unpinned(tmp_path)] == [image]


def test_a_registry_that_is_away_is_told(tmp_path: Path) -> None:
    with (
        httpx.Client() as client,
        pytest.raises(ImageReferenceError, match=r"try again where 127\.0\.0\.1:9 can be reached"),
    ):
        digest(Image("127.0.0.1:9/library/base", "1.2"), client)


@pytest.mark.parametrize(
    ("name", "host", "there"),
    [
        ("python", "registry-1.docker.io", "library/python"),
        ("nvidia/cuda", "registry-1.docker.io", "nvidia/cuda"),
        ("ghcr.io/mlflow/mlflow", "ghcr.io", "mlflow/mlflow"),
        ("localhost:5000/base", "localhost:5000", "base"),
    ],
)
def test_a_name_says_its_registry(name: str, host: str, there: str) -> None:
    assert parse(f"{name}:1").repository == (host, there)


@pytest.mark.parametrize(
    "text", ["python", "python:latest", "python@sha256:" + "0" * 64, "python:3@sha256:12", "python:3@md5:12", ""]
)
def test_what_names_no_release_is_refused(text: str) -> None:
    with pytest.raises(ImageReferenceError):
        parse(text)


@pytest.mark.parametrize(
    "other", ["base:1.3", "base", "base:latest", f"base:1.2@sha256:{'0' * 64}", "elsewhere/base:1.2"]
)
def test_an_image_that_is_not_listed_is_told(tmp_path: Path, other: str) -> None:
    write_project(tmp_path, "base:1.2")
    (tmp_path / "compose.yaml").write_text(f"services:\n  store:\n    image: {other}\n")
    (sentence,) = disagreements(tmp_path)
    assert sentence.startswith(f"compose.yaml names {other}, which images.txt does not have")


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("FROM --platform=linux/amd64 base:1.3 AS other", "base:1.3"),
        ("FROM \\\n    base:1.3", "base:1.3"),
        ("FROM ${OTHER:-base:1.3}", "base:1.3"),
        ("ARG OTHER=base:1.3\nFROM $OTHER", "base:1.3"),
        ("ARG OTHER=base:1.3\nFROM --platform=$BUILDPLATFORM $OTHER AS other", "base:1.3"),
        ("COPY --from=base:1.3 /bin/sh /bin/sh", "base:1.3"),
        ("COPY --chown=10001 --from=base:1.3 /bin/sh /bin/sh", "base:1.3"),
        ("RUN --mount=type=bind,from=base:1.3,target=/mnt true", "base:1.3"),
        ("COPY --from=BUILD /opt /opt", None),
        ("COPY --from=0 /opt /opt", None),
        ("ARG TORCH=cpu\nRUN install torch-${TORCH}", None),
    ],
)
def test_an_image_is_found_however_a_dockerfile_names_it(tmp_path: Path, line: str, named: str | None) -> None:
    write_project(tmp_path, "base:1.2")
    with (tmp_path / "serving" / "Dockerfile").open("a") as dockerfile:
        dockerfile.write(f"{line}\n")
    told = [f"serving/Dockerfile names {named}, which images.txt does not have; add it there, by tag and digest."]
    assert disagreements(tmp_path) == (told if named else [])


def test_the_projects_images_are_listed_with_their_tags() -> None:
    assert {image.name for image in listed(ROOT)} >= {"python", "nvidia/cuda"}
    assert disagreements(ROOT) == []
