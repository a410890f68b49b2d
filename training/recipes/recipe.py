"""A training recipe: one YAML file, checked as a whole before anything heavy is loaded."""

import difflib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from reprlib import Repr
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from snap2caption.datasets.manifest import Split
from snap2caption.errors import UserError
from snap2caption.names import BaseName, FileName
from training.recipes import strict_yaml


def _regex(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"is not a regular expression ({error})") from error
    return pattern


def _host_and_port(endpoint: str) -> str:
    if not re.fullmatch(r"\S+:\d+", endpoint):
        raise ValueError("should be a machine's name and a port, such as node0:29400")
    return endpoint


_WANTED = {
    "int_type": "should be a whole number, in digits without quotes",
    "float_type": "should be a number, in digits without quotes",
    "bool_type": "should be true or false, without quotes",
    "string_type": "should be a text, in quotes",
    "tuple_type": "should be a list, such as [one, another]",
    "dict_type": "should hold names and values",
    "model_type": "should hold settings",
}
"""What a setting of a type takes, in the words of YAML."""

_SHORT = Repr()
"""Shows what was written, in a sentence's length whatever it is."""
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlevel = 2

_Checked = TypeVar("_Checked", bound="_Section")

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    # Strict: a number in quotes is a text, and 2.0 is no whole number.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class LoraSettings(_Section):
    """The adapter. ``targets`` is matched against the whole path of each module."""

    rank: Positive = 16
    alpha: Annotated[float, Field(gt=0)] = 32
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.05
    targets: Annotated[str, AfterValidator(_regex)]


class ModelSettings(_Section):
    """The base model (a folder's name under the models directory, or a name on the hub) and the adapter on it.

    ``revision`` pins the base: a commit, tag or branch on the hub, of a folder the digest of its weights; without, what is there now is taken.
    With ``load_in_4bit`` training holds the language model's frozen weights in 4 bits (QLoRA); evaluation and serving hold them whole. Without
    ``split_images`` a family that looks at a picture and at its pieces (SmolVLM) looks at the picture alone.
    """

    base: BaseName
    revision: FileName | None = None
    load_in_4bit: bool = False
    split_images: bool = True
    lora: LoraSettings


class FeedbackSettings(_Section):
    """A dataset version of corrected captions that is mixed in: so much of each epoch is its training split, repeated as it takes."""

    uri: str | None = None
    share: Annotated[float, Field(gt=0, lt=1)]

    def version_uri(self) -> str:
        """Return the URI of the dataset version.

        Raises:
            UserError: the recipe names none.
        """
        if not self.uri:
            raise UserError(
                "The recipe mixes in feedback but names no feedback dataset; add data.feedback.uri=URI_OF_THE_DATASET_VERSION to the "
                "command."
            )
        return self.uri.rstrip("/")


class DataSettings(_Section):
    """The dataset version: its URI, or the URI of the datasets' root with ``version``; and which of it, read how.

    With ``stream`` the training split is read from the store as it is needed, a few shards on disk at a time. Without, it is fetched first:
    then batches hold captions of like length, and vision features can be kept.

    Of a post ``max_post_tokens`` are learned, and no more than the base's context has room for: a longer one loses the end of its caption. The
    default is more than twice the 96 tokens that evaluation and serving have written by default. The validation loss is measured on
    ``max_validation_samples`` of the split, spread over its cities and groups; null: on all of them.
    """

    uri: str | None = None
    version: FileName | None = None
    # YAML has lists alone.
    cities: Annotated[tuple[str, ...], Field(strict=False)] = ()
    samples_per_city: Positive | None = None
    stream: bool = False
    max_post_tokens: Annotated[int, Field(ge=16)] = 256
    max_validation_samples: Positive | None = 2000
    feedback: FeedbackSettings | None = None

    def version_uri(self) -> str:
        """Return the URI of the dataset version.

        Raises:
            UserError: the recipe names no dataset.
        """
        if not self.uri:
            raise UserError("The recipe names no dataset; add data.uri=URI_OF_THE_DATASET_VERSION to the command.")
        return f"{self.uri.rstrip('/')}/{self.version}" if self.version else self.uri.rstrip("/")


Precision = Literal["float32", "bfloat16", "float16"]


class OptimiserSettings(_Section):
    """How to train.

    One optimiser step sees ``batch_size * accumulation`` samples, on however many processes: each takes its share of a batch. ``threads`` are a
    machine's; its processes share them.

    The validation loss is measured, and a checkpoint saved, at the end of each epoch and every ``evaluate_every`` steps; ``save_every`` steps a
    checkpoint is saved without. With ``patience``, training ends once so many measurements in a row have not improved on the best by more than
    ``min_improvement`` (nats a token), and the adapter of the best one is kept; without, that of the last step.

    ``precision`` is the base's and that of the arithmetic; the adapter is float32 in any case. With ``gradient_checkpointing`` a layer keeps
    its input alone, and computes the rest again on the way back.
    """

    batch_size: Positive = 16
    accumulation: Positive = 1
    learning_rate: Annotated[float, Field(ge=0)] = 2e-4
    epochs: Positive = 3
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.05
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    precision: Precision = "float32"
    gradient_checkpointing: bool = False
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    threads: Positive | None = None
    feature_cache_gib: Annotated[float, Field(ge=0)] = 2.0
    evaluate_every: Positive | None = None
    save_every: Positive | None = None
    patience: Positive | None = None
    min_improvement: Annotated[float, Field(ge=0)] = 0.0


class LauncherSettings(_Section):
    """On what the training runs: where it is done, not what comes out. ``launcher: ray`` is short for ``launcher: {kind: ray}``.

    ``local``: in the command's own process. ``torchrun``: in ``processes`` on each of ``nodes`` machines (none given: one for each GPU), started by
    torch's elastic launcher; on several machines the same command is given on each, and they meet at ``rendezvous`` (host:port of one of them).
    ``ray``: in ``processes`` on the Ray cluster at ``address`` (none given: on a Ray started for the occasion), each with ``resources``, such as
    ``{GPU: 1, CPU: 8}``.

    ``checkpoints`` is the URI of a store that gets a copy of each checkpoint: so machines need share no disk, and what a lost one did stays.
    """

    kind: Literal["local", "torchrun", "ray"] = "local"
    processes: Positive | None = None
    nodes: Positive = 1
    rendezvous: Annotated[str, AfterValidator(_host_and_port)] | None = None
    address: str | None = None
    resources: dict[str, Annotated[float, Field(gt=0)]] = {}
    checkpoints: str | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        belong = {
            "processes": ("torchrun", "ray"),
            "rendezvous": ("torchrun",),
            "address": ("ray",),
            "resources": ("ray",),
        }
        for name, kinds in belong.items():
            if self.kind not in kinds and getattr(self, name):
                raise ValueError(f"has {name}, which is for kind {' or '.join(kinds)}; this one is {self.kind}")
        if self.nodes > 1 and self.kind != "torchrun":
            raise ValueError(f"has {self.nodes} nodes, which is for kind torchrun; this one is {self.kind}")
        if self.nodes > 1 and not (self.rendezvous and self.checkpoints):
            raise ValueError(
                "has several nodes: they need a rendezvous (host:port of one of them) and checkpoints (the URI of a store), as they may share no disk"
            )
        return self


class TrackingSettings(_Section):
    """Where the run is filed in MLflow, and in which project of Weights & Biases, if in one.

    With ``system_metrics`` the use of processors, memory, disk, network and GPUs is logged too.
    """

    experiment: Annotated[str, Field(min_length=1)] = "snap2caption"
    system_metrics: bool = True
    wandb: Annotated[str, Field(min_length=1)] | None = None


class EvaluationSettings(_Section):
    """How a model is scored, always by generating captions."""

    split: Split = "test"
    batch_size: Positive = 16
    max_new_tokens: Positive = 96
    max_samples: Positive | None = None


class FeedbackGateSettings(_Section):
    """What a candidate that learned from feedback must show on the feedback's held-out test split: that it is better there.

    On the corpus's test split its CIDEr must then only not be lower by more than ``cider_tolerance``, a share of the incumbent's.
    """

    margin: Annotated[float, Field(ge=0)] = 0.0
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    cider_tolerance: Share = 0.05


class GateSettings(_Section):
    """What a candidate must show. The tolerances are shares of the incumbent's value, but for the hashtags' (a difference of shares).

    Both models are timed on ``latency_photos`` photos; ``latency_tolerance`` is for time to first token and for time per output token.
    Without ``feedback``, scores on the feedback's test split are reported alone.
    """

    margin: Annotated[float, Field(ge=0)] = 0.0
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    bootstrap_samples: Annotated[int, Field(ge=100)] = 2000
    loss_tolerance: Share = 0.05
    city_tolerance: Share = 0.1
    hashtags_tolerance: Share = 0.05
    latency_tolerance: Annotated[float, Field(ge=0)] = 0.5
    latency_photos: Positive = 5
    feedback: FeedbackGateSettings | None = None


class Judging(_Section):
    """The sections of a recipe that say how a model is judged. They may be changed once it is trained."""

    evaluation: EvaluationSettings = EvaluationSettings()
    gate: GateSettings = GateSettings()

    def changed(self, overrides: Sequence[str]) -> "Judging":
        """Return it with *overrides*, as for `load_recipe`, on top.

        Raises:
            UserError: a setting is unknown, of another section, or has a value that it can't have.
        """
        for override in overrides:
            section = _parse(override)[0][0]
            if section in Recipe.model_fields and section not in Judging.model_fields:
                raise UserError(
                    f"{_SHORT.repr(override)} changes the training, which is over; give settings of {' or '.join(Judging.model_fields)} alone, "
                    "such as gate.margin=0.02."
                )
        # What is None may be a section, and its settings are given one by one.
        content = self.model_dump(mode="json", exclude_none=True)
        _apply(content, overrides)
        return _checked(Judging, content, "the overrides")


class Recipe(_Section):
    """Everything that makes a training run what it is."""

    model: ModelSettings
    data: DataSettings = DataSettings()
    optimiser: OptimiserSettings = OptimiserSettings()
    tracking: TrackingSettings = TrackingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    gate: GateSettings = GateSettings()
    launcher: LauncherSettings = LauncherSettings()

    @model_validator(mode="after")
    def _shares_are_whole(self) -> Self:
        self.share_of_batch((self.launcher.processes or 1) * self.launcher.nodes)
        return self

    def share_of_batch(self, processes: int) -> int:
        """Return how many samples of a batch each of so many processes takes.

        Raises:
            ValueError: the batch can't be divided.
        """
        share, left = divmod(self.optimiser.batch_size, processes)
        if left:
            raise ValueError(
                f"optimiser.batch_size is {self.optimiser.batch_size}, which {processes} processes can't share evenly; "
                f"make it a multiple of {processes}"
            )
        return share

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.model.load_in_4bit and self.optimiser.precision == "float32":
            raise ValueError("model.load_in_4bit computes in 16 bits; set optimiser.precision=bfloat16 as well")
        if self.data.feedback and self.data.stream:
            raise ValueError(
                "data.feedback can't be mixed into a stream; set data.stream=false, or leave data.feedback out"
            )
        return self

    def dump(self) -> str:
        """Return the recipe as YAML, every setting spelt out."""
        return strict_yaml.dump(json.loads(self.model_dump_json()))


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read the recipe at *path*, with *overrides* (``dotted.key=value``, the value in YAML) on top.

    Raises:
        UserError: the file is missing or not YAML, or a setting is unknown or has a value that it can't have.
    """
    try:
        content = strict_yaml.load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"No recipe at {path} ({error.strerror}); see configs/ for those that exist.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid YAML ({' '.join(str(error).split())}); correct it.") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a recipe: it must hold sections such as `model:` and `data:`.")
    _spell_out(content)
    _apply(content, overrides)
    return parse_recipe(content, str(path))


def parse_recipe(content: dict[str, Any], where: str) -> Recipe:
    """Check a recipe's content; *where* names it in the error."""
    return _checked(Recipe, content, where)


def _checked(kind: type[_Checked], content: dict[str, Any], where: str) -> _Checked:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        # An unknown setting before all else: a slip of the pen is also why another one is missing.
        first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
        raise UserError(f"{where}: {_explain(first['type'], first['loc'], first['msg'], first['input'])}") from error


def _spell_out(content: dict[str, Any]) -> None:
    if isinstance(content.get("launcher"), str):
        content["launcher"] = {"kind": content["launcher"]}


def _apply(content: dict[str, Any], overrides: Sequence[str]) -> None:
    given: dict[tuple[str, ...], str] = {}
    for override in overrides:
        names, value = _parse(override)
        _refuse_twice(given, names, value, override)
        _override(content, names, value, override)
        _spell_out(content)


def _parse(override: str) -> tuple[tuple[str, ...], Any]:
    """Return the names of the setting that *override* is about, the outermost section first, and its value."""
    key, separator, value = override.partition("=")
    names = tuple(key.strip().split("."))
    if not separator or not all(names):
        raise UserError(
            f"{_SHORT.repr(override)} is not an override; write section.setting=value, such as optimiser.epochs=2."
        )
    try:
        return names, strict_yaml.load(value)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"The value in {_SHORT.repr(override)} is not valid YAML ({reason}); correct it, or put it in quotes."
        ) from error


def _refuse_twice(given: dict[tuple[str, ...], str], names: tuple[str, ...], value: Any, override: str) -> None:
    """Add the settings that *override* gives to those that were *given*, each by the override that did.

    Raises:
        UserError: it would replace one of them, in silence.
    """
    value = {"kind": value} if names == ("launcher",) and isinstance(value, str) else value
    settings = [(*names, *inner) for inner in _settings_in(value)]
    for known, by in given.items():
        if known[: len(names)] == names or any(setting[: len(known)] == known for setting in settings):
            raise UserError(
                f"{_SHORT.repr(override)} would replace {_SHORT.repr(by)}, as both give {'.'.join(known)}; leave one out."
                if known in settings
                else f"{_SHORT.repr(override)} would replace {_SHORT.repr(by)}; give it first, or leave one out."
            )
    given |= dict.fromkeys(settings, override)


def _settings_in(value: Any) -> Iterator[tuple[str, ...]]:
    """Yield the names of the settings in a section's *value*; of a setting's, no names."""
    if not isinstance(value, dict):
        yield ()
        return
    for name, inner in value.items():
        for names in _settings_in(inner):
            yield (name, *names)


def _override(content: dict[str, Any], names: tuple[str, ...], value: Any, override: str) -> None:
    section = content
    for name in names[:-1]:
        # A section may be spelt out as null.
        inner = section[name] = {} if section.get(name) is None else section[name]
        if not isinstance(inner, dict):
            raise UserError(f"{_SHORT.repr(override)} does not name a setting: {name} holds no settings.")
        section = inner
    section[names[-1]] = value


def _explain(kind: str, location: tuple[int | str, ...], message: str, value: object) -> str:
    place = ".".join(map(str, location))
    if kind == "extra_forbidden":
        close = difflib.get_close_matches(str(location[-1]), _settings_at(location[:-1]), n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(_settings_at(location[:-1]))}."
        return f"{place} is not a setting; {hint}"
    if kind == "missing":
        return f"{place} is missing; add it."
    reason = _WANTED.get(kind) or message.removeprefix("Value error, ").removeprefix("Input ")
    if not place:
        return f"{reason}."
    return f"{place} {reason}, not {_SHORT.repr(value)}." if reason.startswith("should") else f"{place} {reason}."


def _settings_at(location: tuple[int | str, ...]) -> list[str]:
    section: type[BaseModel] = Recipe
    for name in location:
        annotation = section.model_fields[str(name)].annotation
        # An unknown key lies directly in a section, which may be one that can be left out (`Section | None`).
        section = next(kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type))
    return list(section.model_fields)
