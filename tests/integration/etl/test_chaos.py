"""Every stage killed by SIGKILL at a random moment, and run again: the same result as if nothing had happened, and
nothing left over.

`make chaos-etl` does it 50 times, spread over the stages and their time; within `make test` a sample of it is enough.
"""

import hashlib
import io
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from PIL import Image

from demo.corpus.archive import write_corpus
from demo.stack.leftovers import MARK, leftovers

pytestmark = [pytest.mark.integration, pytest.mark.timeout(0)]  # `make chaos-etl` runs for as long as its rounds take

ROUNDS = int(os.environ.get("CHAOS_ETL_ROUNDS", "4"))
STAGES = ("extract", "transform", "load")
BUCKET = "chaos"
PAIRS, PHOTOS = 80, 40
"""Rendered pairs with traps among them, and noisy photographs, which make a shard that goes to the store in several
parts.
"""


@dataclass(frozen=True)
class Stage:
    """How to run a stage to a place of its own, and what is there afterwards."""

    command: Callable[[str], list[str]]
    found: Callable[[str], Any]
    idle: float = 0.05
    """The part of its time that it takes to load Python's modules: a kill there is no feat."""


@dataclass(frozen=True)
class Whole:
    """An uninterrupted run: how many seconds it took, what it said and what it made."""

    seconds: float
    said: dict[str, str]
    found: Any


class Pipeline:
    """The stages over one corpus, one publisher and one store."""

    def __init__(self, folder: Path, url: str, environment: dict[str, str]) -> None:
        self.folder = folder
        self.mark = str(folder)
        self.environment = {**os.environ, **environment, MARK: self.mark}
        self.s3 = boto3.client(
            "s3",
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            region_name=environment["AWS_DEFAULT_REGION"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        )
        digest = hashlib.sha256((folder / "corpus.zip").read_bytes()).hexdigest()
        self.stages = {
            "extract": Stage(
                lambda place: ["extract", url, "--out", str(folder / place), "--sha256", digest],
                lambda place: tree(folder / place),
            ),
            "transform": Stage(
                lambda place: ["transform", str(folder / "corpus.zip"), "--out", str(folder / place)],
                lambda place: tree(folder / place),
            ),
            "load": Stage(
                lambda place: ["load", self.dataset, f"s3://{BUCKET}/{place}"],
                self.objects,
                idle=0.5,
            ),
        }
        self.wholes: dict[str, Whole] = {}
        # Load twice: the first waits for the store to make a bucket and volumes.
        for number, name in enumerate((*STAGES, "load")):
            place = f"whole-{name}-{number}"
            began = time.monotonic()
            said = self.run(name, place)
            took = time.monotonic() - began
            self.wholes[name] = Whole(took, said, self.stages[name].found(place))
            if name == "transform":
                self.dataset = said["dataset"]

    def start(self, name: str, place: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "snap2caption", *self.stages[name].command(place), "--json"]
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
            start_new_session=True,
        )

    def run(self, name: str, place: str) -> dict[str, str]:
        with self.start(name, place) as process:
            output, errors = process.communicate()
        assert process.returncode == 0, errors
        said: dict[str, str] = json.loads(output)
        return said

    def kill(self, name: str, place: str, after: float) -> bool:
        """Kill a run *after* so many seconds; return whether it was still alive."""
        with self.start(name, place) as process:
            try:
                process.communicate(timeout=after)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        return process.returncode == -signal.SIGKILL

    def objects(self, place: str) -> dict[str, str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{place}/")
        keys = [found["Key"] for page in pages for found in page.get("Contents", ())]
        return {
            key.removeprefix(place): sha256(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()) for key in keys
        }

    def unfinished_uploads(self) -> list[str]:
        return [upload["Key"] for upload in self.s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ())]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def tree(folder: Path) -> dict[str, str]:
    """Everything in *folder*: the digests of files, and nothing for folders."""
    return {
        str(path.relative_to(folder)): "" if path.is_dir() else sha256(path.read_bytes())
        for path in sorted(folder.rglob("*"))
    }


def write_photos(corpus: Path) -> None:
    """Add noisy photographs to the corpus, which no JPEG makes small."""
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(corpus, "a") as archive:
        for number in range(PHOTOS):
            stream = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (640, 640, 3), np.uint8)).save(stream, "JPEG", quality=95)
            archive.writestr(f"img_resized_1M/cities_instagram/chicago/9{number:06d}.jpg", stream.getvalue())
            caption = f"Noise number {number} of a long night #noise{number}"
            archive.writestr(f"captions_resized_1M/cities_instagram/chicago/9{number:06d}.txt", caption)


@pytest.fixture
def pipeline(publisher, s3_environment: dict[str, str], tmp_path: Path) -> Pipeline:
    corpus = write_corpus(tmp_path / "corpus.zip", PAIRS, 1, traps=True)
    write_photos(corpus)
    publisher.files = {"corpus.zip": corpus.read_bytes()}
    publisher.rate = len(publisher.files["corpus.zip"]) // 16 // 2  # two seconds over 16 connections
    return Pipeline(tmp_path, f"{publisher.url}/corpus.zip", s3_environment)


def test_whatever_is_killed_a_second_run_makes_it_whole(pipeline: Pipeline) -> None:
    dataset = Path(pipeline.dataset)
    assert pipeline.wholes["load"].found == {f"/{dataset.name}/{name}": found for name, found in tree(dataset).items()}
    rng = random.Random(0)
    each = -(-ROUNDS // len(STAGES))
    for number, name in zip(range(ROUNDS), itertools.cycle(STAGES), strict=False):
        whole, place = pipeline.wholes[name], f"{name}-{number}"
        # Each kill has its own part of the stage's time, so together they are spread over all of it.
        idle = pipeline.stages[name].idle
        moment = whole.seconds * (idle + (0.95 - idle) * (number // len(STAGES) + rng.random()) / each)
        # A machine that has become faster may be done by then: earlier, in a place of its own.
        while not pipeline.kill(name, place, moment):
            assert pipeline.stages[name].found(place) == whole.found, (name, moment)
            moment, place = 0.7 * moment, f"{place}-again"
        said = pipeline.run(name, place)
        assert said.get("version") == whole.said.get("version"), (name, moment)
        assert pipeline.stages[name].found(place) == whole.found, (name, moment)
        print(f"{number + 1}/{ROUNDS} {name}: killed at {moment:.2f} of {whole.seconds:.2f} s")
    assert leftovers(pipeline.mark) == []
    assert pipeline.unfinished_uploads() == []
