"""Own-voice benchmark: what a model learns from few posts of one person, and what it loses on the corpus.

``python -m benchmarks.training.own_voice [--from champion base] [--habits sign-off lower-case] [--posts 100 200 1000]
[--scenes 240] [--set KEY=VALUE…]``. Each row goes the way of docs/own-voice.md, by its commands: an Instagram export of
so many posts, a dataset version, the recipe, the gate. Training begins with the demo's champion, which has learned the
corpus, or with the untrained demo base. Then the model that it began with and the trained one caption the same unseen
scenes of the corpus.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from demo.corpus.creator import Habit, has_habit
from demo.corpus.facts import named
from demo.corpus.instagram_export import write_export
from demo.corpus.pairs import ScenePair, make_pair
from demo.measure import KINDS
from demo.stack.ports import Ports
from demo.stack.services.mlflow import mlflow
from demo.stack.stack import Stack
from snap2caption.images import decode
from snap2caption.post import Request, Tone, build_prompt, parse
from snap2caption.registry.client import CHAMPION
from snap2caption.registry.verdict import GateVerdict
from snap2caption.settings import Settings
from snap2caption.vlm import Decoding, VisionLanguageModel
from training.evaluation.bootstrap import BOOTSTRAP
from training.evaluation.candidates import EvaluatedModel, find_base, find_trained
from training.gate.promotion import open_registry
from training.tracking.runs import connect

BASE = "demo-base"
_DEMO = (f"model.base={BASE}", "model.do_image_splitting=true")
ON_BASE = (*_DEMO, "training.learning_rate=3e-3")
ON_CHAMPION = (*_DEMO, "model.initial_adapter=champion", "model.lora.r=32", "model.lora.lora_alpha=64")
"""Settings for the demo base and for its champion, as docs/own-voice.md gives them."""

CORPUS = 2400
"""Pairs of the corpus that the champion learns: as many as in `make demo`, but of all cities, as the posts are."""

SETTINGS: dict[str, tuple[str, ...]] = {CHAMPION: ON_CHAMPION, "base": ON_BASE}
STARTS = tuple(SETTINGS)
"""What a training may begin with."""

TWO_CORES = ("launcher=torchrun", "launcher.processes=2", "training.threads=2")

POSTS = (100, 200, 1000)
SCENES = 240
UNSEEN = 7
"""Seed of the scenes. The creator's posts have another one."""

MEASURES = ("habit", *KINDS)
"""The columns of what is measured on a caption: the habit, and whether it names what the scene shows."""

_BATCH, _TOKENS = 32, 96
_TONES: tuple[Tone | None, ...] = (None, *Tone)


@dataclass(frozen=True, slots=True)
class TrainedVoice:
    """A model that learned from so many posts, and what that took."""

    posts: int
    model: EvaluatedModel
    verdict: GateVerdict
    seconds: float
    """From the export to the gate's verdict."""


def unseen_scenes(count: int) -> list[ScenePair]:
    """Return *count* scenes of the corpus, which no model was trained on."""
    return [make_pair(UNSEEN, number) for number in range(count)]


def write_captions(vlm: VisionLanguageModel, pairs: Sequence[ScenePair]) -> list[str]:
    """Return what *vlm* writes about the pairs' scenes, greedily: asked for no tone, and for each of them, in turn."""
    prompts = [build_prompt(Request(tone=_TONES[number % len(_TONES)])) for number in range(len(pairs))]
    # Answers to the same prompt have similar lengths, and a batch takes as long as its longest.
    order = sorted(range(len(pairs)), key=lambda number: prompts[number])
    written: dict[int, str] = {}
    for start in range(0, len(order), _BATCH):
        batch = order[start : start + _BATCH]
        photos = [decode(pairs[number].image) for number in batch]
        answers = vlm.generate(photos, [prompts[number] for number in batch], Decoding(_TOKENS))
        written |= {number: answer.text for number, answer in zip(batch, answers, strict=True)}
    return [written[number] for number in range(len(pairs))]


def measure(pairs: Sequence[ScenePair], texts: Sequence[str], habit: Habit = Habit.SIGN_OFF) -> NDArray[np.float64]:
    """Return whether each caption has *habit* and the rest of `MEASURES`, 0 or 1; shape (captions, measures)."""
    rows = [
        [has_habit(parse(text).caption, habit), *named(pair.scene, text).values()]
        for pair, text in zip(pairs, texts, strict=True)
    ]
    return np.array(rows, dtype=np.float64)


def train_champion(folder: Path, tracking_uri: str) -> EvaluatedModel:
    """Train the demo's recipe on its corpus, and make the model the champion; return it.

    Raises:
        SystemExit: a command failed.
    """
    commands = _Commands(_settings(folder, tracking_uri, "champion"))
    commands.run("sample-corpus", "--out", str(folder / "corpus.zip"), "--pairs", str(CORPUS))
    version = commands.run(
        "transform", str(folder / "corpus.zip"), "--out", str(folder / "datasets"), "--cities", "all"
    ).strip()
    run_id = commands.run("train", "--config", "demo", f"data.uri={Path(version).as_uri()}").strip()
    commands.run("promote", run_id, "--force")
    return commands.model(run_id)


def train_voice(
    posts: int, habit: Habit, folder: Path, tracking_uri: str, start_with: str, overrides: Sequence[str] = ()
) -> TrainedVoice:
    """Train on *posts* of the synthetic creator by the recipe's commands, each in a process of its own.

    Args:
        posts: how many.
        habit: what they have in common.
        folder: for everything that the commands write.
        tracking_uri: MLflow's address.
        start_with: ``base``, or ``champion`` after `train_champion`.
        overrides: settings of the recipe.

    Raises:
        SystemExit: a command failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    export = write_export(folder / "instagram-export.zip", posts, seed=0, habit=habit)
    commands = _Commands(_settings(folder, tracking_uri, start_with))
    start = time.perf_counter()
    commands.run("import-corpus", str(export), "--out", str(folder / "my-posts.zip"))
    version = commands.run(
        "transform", str(folder / "my-posts.zip"), "--out", str(folder / "datasets"), "--cities", "all"
    ).strip()
    asked = (f"data.uri={Path(version).as_uri()}", *SETTINGS[start_with], *TWO_CORES, *overrides)
    run_id = commands.run("train", "--config", "own-voice", *asked).strip()
    # The gate says no with status 1, which is an answer.
    verdict = GateVerdict.parse(commands.run("gate", run_id, "--json", answers=(0, 1)).encode(), run_id)
    seconds = time.perf_counter() - start
    return TrainedVoice(posts, commands.model(run_id), verdict, seconds)


def _settings(folder: Path, tracking_uri: str, registered_model: str) -> Settings:
    return Settings(state_dir=folder / "state", mlflow_tracking_uri=tracking_uri, registered_model=registered_model)


@dataclass(frozen=True, slots=True)
class _Commands:
    """Commands of `snap2caption`, which run with these settings."""

    settings: Settings

    def run(self, *arguments: str, answers: tuple[int, ...] = (0,)) -> str:
        environment = {
            "SNAP2CAPTION_STATE_DIR": str(self.settings.state_dir),
            "SNAP2CAPTION_MLFLOW_TRACKING_URI": self.settings.mlflow_tracking_uri,
            "SNAP2CAPTION_REGISTERED_MODEL": self.settings.registered_model,
        }
        command = (sys.executable, "-m", "snap2caption", *arguments)
        done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
        if done.returncode not in answers:
            sys.exit(f"{arguments[0]} failed:\n{done.stderr}")
        return done.stdout

    def model(self, run_id: str) -> EvaluatedModel:
        """Return the model of a run."""
        return find_trained(run_id, connect(self.settings.mlflow_tracking_uri), open_registry(self.settings))


def run(
    sizes: Sequence[int],
    scenes: int,
    folder: Path,
    starts: Sequence[str] = STARTS,
    habits: Sequence[Habit] = tuple(Habit),
    overrides: Sequence[str] = (),
) -> str:
    """Return a table for each of *starts* and *habits*, with a row of that model and one of each of *sizes*; and what
    the gate says.
    """
    models_dir = Settings().models_dir
    pairs = unseen_scenes(scenes)

    def texts(model: EvaluatedModel) -> list[str]:
        return write_captions(model.load(models_dir, "float32"), pairs)

    lines, notes = [], []
    service, uri = mlflow(folder, Ports(folder / "ports.json"))
    with Stack(folder) as stack:
        stack.start([service])
        for start_with in starts:
            earlier = texts(train_champion(folder, uri) if start_with == CHAMPION else find_base(BASE, models_dir))
            for habit in habits:
                before = measure(pairs, earlier, habit)
                lines += [
                    f"| {habit}, {scenes} unseen scenes | {' | '.join(MEASURES)} | gate | minutes |",
                    f"|{'---|' * (len(MEASURES) + 3)}",
                    f"| {start_with} | {' | '.join(f'{share:.0%}' for share in before.mean(axis=0))} | | |",
                ]
                for posts in sizes:
                    name = f"{start_with}-{habit}-{posts}"
                    voice = train_voice(posts, habit, folder / name, uri, start_with, overrides)
                    lines.append(_row(voice, before, measure(pairs, texts(voice.model), habit)))
                    said = (*voice.verdict.notes, *voice.verdict.refusals)
                    notes += [f"{name}: {note}" for note in said]
                    print(*lines[-2:], *notes[-len(said) :], sep="\n", file=sys.stderr, flush=True)
                lines.append("")
    return "\n".join([*lines, *notes])


def _row(voice: TrainedVoice, before: NDArray[np.float64], after: NDArray[np.float64]) -> str:
    cells = [_share(after[:, column], before[:, column]) for column in range(len(MEASURES))]
    decision = "admitted" if voice.verdict.admitted else "refused"
    return f"| {voice.posts} posts | {' | '.join(cells)} | {decision} | {voice.seconds / 60:.1f} |"


def _share(after: NDArray[np.float64], before: NDArray[np.float64]) -> str:
    """Return a share, and the interval of its difference in points, caption by caption."""
    interval = BOOTSTRAP.mean(after - before)
    change = f" ({100 * interval.low:+.0f} to {100 * interval.high:+.0f})" if interval else ""
    return f"{after.mean():.0%}{change}"


def main() -> None:
    """Print the table for what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="starts", choices=STARTS, nargs="+", default=list(STARTS))
    parser.add_argument("--habits", type=Habit, choices=list(Habit), nargs="+", default=list(Habit))
    parser.add_argument("--posts", type=int, nargs="+", default=list(POSTS))
    parser.add_argument("--scenes", type=int, default=SCENES)
    parser.add_argument("--set", metavar="KEY=VALUE", nargs="*", default=[], help="settings of the recipe to override")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(run(asked.posts, asked.scenes, Path(folder), asked.starts, asked.habits, asked.set))


if __name__ == "__main__":
    main()
