"""Recipe sections: every setting with its type, bounds and default."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from snap2caption.datasets.manifest import Split
from snap2caption.errors import UserError
from snap2caption.names import BaseName, FileName
from snap2caption.settings_sections import SettingsSection


def _regex(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"is not a regular expression ({error})") from error
    return pattern


def _version_number(reference: object) -> object:
    # YAML reads a version of the registry as a number.
    return str(reference) if type(reference) is int else reference


def _host_and_port(endpoint: str) -> str:
    if not re.fullmatch(r"\S+:\d+", endpoint):
        raise ValueError("should be a machine's name and a port, such as node0:29400")
    return endpoint


Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]


class RecipeSection(SettingsSection):
    """Base class of recipe sections."""


class LoraSettings(RecipeSection):
    """The adapter's settings, named as in PEFT's LoraConfig.

    ``target_modules`` is a regular expression that is matched against the whole path of each module.
    """

    r: Positive = 16
    lora_alpha: Annotated[float, Field(gt=0)] = 32
    lora_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.05
    target_modules: Annotated[str, AfterValidator(_regex)]


class ModelSettings(RecipeSection):
    """The base model (a folder under the models directory, or a name on the hub) and its adapter.

    ``revision`` pins the base: a commit, tag or branch on the hub, or the digest of a folder's weights; by default
    the current revision is used. ``initial_adapter`` names a trained model, by its run id or by an alias or version in
    the registry; training begins with its adapter, by default with a new one. With ``load_in_4bit``, training holds
    the language model's frozen weights in 4 bits (QLoRA); evaluation and serving load them in full precision. Without
    ``do_image_splitting``, a family that sees an image and its crops (SmolVLM) sees only the image.
    """

    base: BaseName
    revision: FileName | None = None
    initial_adapter: Annotated[FileName | None, BeforeValidator(_version_number)] = None
    load_in_4bit: bool = False
    do_image_splitting: bool = True
    lora: LoraSettings


class FeedbackSettings(RecipeSection):
    """A dataset version of corrected captions to mix in: ``share`` of each epoch, repeated as often as necessary."""

    uri: str | None = None
    share: Annotated[float, Field(gt=0, lt=1)]

    def version_uri(self) -> str:
        """Return the URI of the feedback dataset version.

        Raises:
            UserError: the recipe names none.
        """
        if not self.uri:
            raise UserError(
                "The recipe mixes in feedback but names no feedback dataset; "
                "add data.feedback.uri=URI_OF_THE_DATASET_VERSION to the command."
            )
        return self.uri.rstrip("/")


class DataSettings(RecipeSection):
    """The dataset version (its URI, or the URI of the datasets' root with ``version``), and what to read of it.

    With ``stream``, the training split is read from the store on demand, with a few shards on disk at a time.
    Without it, the split is fetched first; then captions of similar length are batched together, and vision
    features can be cached.

    The model learns ``max_post_tokens`` of a post, and no more than fit into the base's context: a longer post
    loses the end of its caption. The default is more than twice the default of 96 tokens in evaluation and serving.
    The validation loss is measured on ``max_validation_samples`` of the split, spread over its cities and groups;
    null means all of them.
    """

    uri: str | None = None
    version: FileName | None = None
    # YAML has lists, not tuples.
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
"""A type of torch's, by name."""


class TrainingSettings(RecipeSection):
    """Training settings, named as in transformers' TrainingArguments and EarlyStoppingCallback where they agree.

    One optimizer step takes ``global_micro_batch_size * gradient_accumulation_steps`` samples, however many
    processes there are: each process takes its share of a batch, whereas transformers'
    ``per_device_train_batch_size`` is per process. ``threads`` is per machine, and its processes share them.

    The validation loss is measured and a checkpoint saved at the end of each epoch and every ``eval_steps`` steps;
    every ``save_steps`` steps only a checkpoint is saved. With ``early_stopping_patience``, training ends when that
    many measurements in a row have not improved on the best by more than ``early_stopping_threshold`` (nats per
    token), and the best adapter is kept; without it, the last step's.

    ``precision`` is that of the base and of the computation; the adapter is always float32. ``auto`` is resolved when
    a training begins (`training.planning.precision`). With
    ``gradient_checkpointing``, only a layer's input is kept, and the rest is recomputed in the backward pass.
    """

    global_micro_batch_size: Positive = 16
    gradient_accumulation_steps: Positive = 1
    learning_rate: Annotated[float, Field(ge=0)] = 2e-4
    num_train_epochs: Positive = 3
    warmup_ratio: Annotated[float, Field(ge=0, lt=1)] = 0.05
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    precision: Literal["auto", Precision] = "float32"
    gradient_checkpointing: bool = False
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    threads: Positive | None = None
    feature_cache_gib: Annotated[float, Field(ge=0)] = 2.0
    eval_steps: Positive | None = None
    save_steps: Positive | None = None
    early_stopping_patience: Positive | None = None
    early_stopping_threshold: Annotated[float, Field(ge=0)] = 0.0

    @property
    def dtype(self) -> Precision:
        """The precision of a recipe whose ``auto`` has been resolved.

        Raises:
            ValueError: it has not.
        """
        if self.precision == "auto":
            raise ValueError("training.precision=auto has not been resolved")
        return self.precision


class LauncherSettings(RecipeSection):
    """Where the training runs, which does not change its result. ``launcher: ray`` is short for ``{kind: ray}``.

    ``local``: in the command's own process.

    ``torchrun``: ``processes`` on each of ``nodes`` machines (by default one per GPU), started by torch's elastic
    launcher. On several machines, run the same command on each; they meet at ``rendezvous`` (host:port of one of
    them).

    ``ray``: ``processes`` on the Ray cluster at ``address`` (by default on a temporary local Ray), each with
    ``resources``, such as ``{GPU: 1, CPU: 8}``.

    ``checkpoints`` is the URI of a store that gets a copy of each checkpoint, so that machines need no shared disk,
    and the work of a lost machine is kept.
    """

    kind: Literal["local", "torchrun", "ray"] = "local"
    processes: Positive | None = None
    nodes: Positive = 1
    rendezvous: Annotated[str, AfterValidator(_host_and_port)] | None = None
    address: str | None = None
    resources: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
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
                "has several nodes: they need a rendezvous (host:port of one of them) and checkpoints "
                "(the URI of a store), as they may share no disk"
            )
        return self


class TrackingSettings(RecipeSection):
    """Tracking: the experiment in MLflow, and optionally a project of Weights & Biases.

    With ``log_system_metrics``, the use of CPUs, memory, disk, network and GPUs is logged too.
    """

    experiment_name: Annotated[str, Field(min_length=1)] = "snap2caption"
    log_system_metrics: bool = True
    wandb_project: Annotated[str, Field(min_length=1)] | None = None


class EvaluationSettings(RecipeSection):
    """How a model is scored; it always generates captions."""

    split: Split = "test"
    batch_size: Positive = 16
    max_new_tokens: Positive = 96
    max_samples: Positive | None = None


class FeedbackGateSettings(RecipeSection):
    """Requirements for a candidate trained on feedback: it must be better on the feedback's held-out test split.

    On the corpus's test split, its CIDEr may then be lower by at most ``cider_tolerance``, a share of the
    incumbent's.
    """

    margin: Annotated[float, Field(ge=0)] = 0.0
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    cider_tolerance: Share = 0.05


class GateSettings(RecipeSection):
    """Requirements for a candidate. Tolerances are shares of the incumbent's value, except for hashtags (a difference).

    Both models are timed on ``latency_photos`` photos; ``latency_tolerance`` applies to time to first token and to
    time per output token. Without ``feedback``, scores on the feedback's test split are only reported.
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
