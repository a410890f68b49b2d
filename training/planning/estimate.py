"""Estimates of training memory and arithmetic: the model is built and run with fake tensors, which have no content.

So both are counted on the recipe's own modules, adapter and precision, not looked up in a table.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count
from transformers import AutoModelForImageTextToText

from snap2caption.vlm import is_vision
from snap2caption.vlm.kernels import best_format
from training.fit.lora import add_adapter, trainable_parameters
from training.recipes.sections import LoraSettings, Precision

_BYTES_IN_4BIT = 0.5 + 0.127 / 8
"""Bytes per weight in NF4 with its block's scale, which is quantized itself (Dettmers et al. 2023, QLoRA, section 3:
0.127 bits per weight).
"""

_BYTES_OF_TRAINING = 16
"""Bytes per trained weight: the weight, its gradient and AdamW's two moments, each in float32."""

_BYTES_OF_VISION = 17
"""Numbers that a trained vision layer saves, per token and unit of width (Korthikanti et al. 2022, equation 2: 34
bytes in 16 bits).
"""

# The CPU's attention kernels, since fake tensors live on the CPU: torch counts attention on GPUs only.
_ON_CPU = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: lambda *shapes, **_: sdpa_flop_count(*shapes[:3]),
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: lambda *shapes, **_: sdpa_backward_flop_count(
        *shapes[:4]
    ),
}


@dataclass(frozen=True, slots=True)
class BatchShape:
    """The shape of a batch: samples, and per sample its tokens, answer tokens, and images or image crops."""

    samples: int
    tokens: int
    answer_tokens: int
    crops: int


@dataclass(frozen=True, slots=True)
class StepCost:
    """The cost of a batch.

    *saved_bytes* is the number of bytes saved for the backward pass. The others are floating-point operations:
    *vision_flops* of one pass through the vision tower, *forward_flops* of one forward pass through the language model,
    as in validation, and *training_flops* of its forward and backward passes.
    """

    saved_bytes: float
    vision_flops: float
    forward_flops: float
    training_flops: float


class FakeTensorModel:
    """A base model with its adapter as fake tensors, built in a second, whatever its size."""

    def __init__(self, config: Any, lora: LoraSettings, precision: Precision) -> None:
        """Build the model.

        Raises:
            UserError: the adapter's target modules match no linear layer.
        """
        self.config = config
        # Both 16-bit types take the same memory; only bfloat16 has autocast on every CPU.
        self.dtype = torch.float32 if precision == "float32" else torch.bfloat16
        with torch.device("meta"):
            base = AutoModelForImageTextToText.from_config(config, dtype=self.dtype, trust_remote_code=False)
            self.parameters = sum(weight.numel() for weight in base.parameters())
            self._language = sum(
                module.weight.numel()
                for name, module in base.get_decoder().named_modules()
                if isinstance(module, torch.nn.Linear)
            )
            self.model = add_adapter(base, lora)
        self.trainable = trainable_parameters(self.model)
        self._vision = sum(weight.numel() for name, weight in self.model.named_parameters() if is_vision(name))
        self._fake = FakeTensorMode()
        with self._fake:
            _move_to_cpu(self.model)
        trained = [name for name, weight in self.model.named_parameters() if weight.requires_grad]
        self.trains_vision = next((name.partition(".lora_")[0] for name in trained if is_vision(name)), None)

    def weight_bytes(self, *, in_4bit: bool) -> float:
        """Return the size of the base's weights in bytes.

        In float32 on a CPU, those of the language model are packed once for each direction
        (`training.fit.cpu_kernels`).
        """
        whole: float = self.parameters * self.dtype.itemsize
        if self.dtype is torch.float32 and best_format(self.dtype) == "float32":
            whole += self._language * self.dtype.itemsize
        return whole - self._language * (self.dtype.itemsize - _BYTES_IN_4BIT) if in_4bit else whole

    def training_bytes(self) -> float:
        """Return the size of the adapter in bytes, with its gradients and optimizer state."""
        return self.trainable * _BYTES_OF_TRAINING

    def step(self, batch: BatchShape, *, checkpointing: bool) -> StepCost:
        """Return the cost of one batch, forward and backward.

        The bytes kept are those that autograd saves. With *checkpointing*, only a layer's input is kept, and one
        layer at a time is recomputed.
        """
        layers = list(self.model.get_base_model().get_decoder().layers)
        kept = _SavedTensorBytes({weight.untyped_storage()._cdata for weight in self.model.parameters()})
        counter = FlopCounterMode(display=False, custom_mapping=_ON_CPU)
        autocast = torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.dtype is torch.bfloat16)
        self.model.train()
        with self._fake, counter, kept.inside(layers):
            embedded = torch.empty(
                batch.samples, batch.tokens, self.config.get_text_config().hidden_size, dtype=self.dtype
            ).requires_grad_(self.trains_vision is not None)
            targets = torch.empty(batch.samples * batch.answer_tokens, dtype=torch.long)
            with saved_tensors_hooks(kept.save, _same):
                with autocast:
                    logits = self.model(
                        inputs_embeds=embedded, logits_to_keep=batch.answer_tokens, use_cache=False
                    ).logits
                loss = functional.cross_entropy(logits.flatten(0, 1).float(), targets)
            forwards = counter.get_total_flops()
            loss.backward()
            learning = counter.get_total_flops()
        seeing, bytes_of_vision = self._see(batch, checkpointing=checkpointing)
        # The gradient of the logits, in float32, is as large as they are, and is made while all the rest is still
        # held.
        total = kept.outside + kept.layers + logits.numel() * 4 + bytes_of_vision
        if checkpointing:
            total -= kept.layers * (1 - 1 / len(layers)) - len(layers) * embedded.numel() * self.dtype.itemsize
            learning += forwards
        return StepCost(total, seeing, forwards, learning)

    def _see(self, batch: BatchShape, *, checkpointing: bool) -> tuple[float, float]:
        """Return the operations of one pass through the vision tower, and the bytes saved of it.

        It counts 2 operations per weight and token, plus attention (Kaplan et al. 2020, section 2.1).
        """
        vision = self.config.vision_config
        tokens, crops = (vision.image_size // vision.patch_size) ** 2, batch.samples * batch.crops
        attention = 4 * tokens**2 * vision.hidden_size * vision.num_hidden_layers
        once = crops * (2 * tokens * self._vision + attention)
        if self.trains_vision is None:
            return once, 0.0
        kept = crops * tokens * vision.hidden_size * vision.num_hidden_layers * self.dtype.itemsize
        # A backward pass through frozen weights costs as much as a forward pass: their own gradients are not
        # computed.
        return once * (3 if checkpointing else 2), kept * (1 if checkpointing else _BYTES_OF_VISION)


def measure_throughput(precision: Precision) -> tuple[str, float]:
    """Return this machine's device and its throughput in matrix products of *precision*, in FLOP/s.

    The measurement takes half a second.
    """
    on_gpu = torch.cuda.is_available()
    dtype = torch.float32 if precision == "float32" else torch.bfloat16
    side = 8192 if on_gpu else 1024
    left, right = (torch.ones(side, side, dtype=dtype, device="cuda" if on_gpu else "cpu") for _ in range(2))
    name = torch.cuda.get_device_name() if on_gpu else f"CPU, {torch.get_num_threads()} threads"
    # Warm-up: the first product also pays for one-time set-up.
    _ = left @ right
    products, start = 0, time.perf_counter()
    while time.perf_counter() - start < 0.5:
        # `item` waits for the result: GPU kernels run asynchronously.
        (left @ right)[0, 0].item()
        products += 1
    return name, products * 2 * side**3 / (time.perf_counter() - start)


class _SavedTensorBytes:
    """Counter of the bytes that autograd saves, inside the layers and outside them.

    Each storage counts once, and the model's weights do not count.
    """

    def __init__(self, weights: set[int]) -> None:
        self.layers = self.outside = 0
        self._known = weights
        self._within = False
        # Kept alive: another storage could reuse a freed one's address, and would not be counted.
        self._saved: list[torch.Tensor] = []

    def save(self, tensor: torch.Tensor) -> torch.Tensor:
        """Count a saved tensor."""
        storage = tensor.untyped_storage()
        if storage._cdata not in self._known:
            self._known.add(storage._cdata)
            self._saved.append(tensor)
            self.layers += storage.nbytes() if self._within else 0
            self.outside += 0 if self._within else storage.nbytes()
        return tensor

    @contextmanager
    def inside(self, layers: list[torch.nn.Module]) -> Iterator[None]:
        """Track whether one of *layers* is running while the block runs."""
        hooks = [layer.register_forward_pre_hook(self._enter) for layer in layers]
        hooks += [layer.register_forward_hook(self._leave) for layer in layers]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _enter(self, *_: Any) -> None:
        self._within = True

    def _leave(self, *_: Any) -> None:
        self._within = False


def _move_to_cpu(model: torch.nn.Module) -> None:
    """Replace tensors on the meta device with fake CPU tensors, because autocast needs a real device type."""
    replaced: dict[int, torch.Tensor] = {}
    for module in model.modules():
        for tensors in (module._parameters, module._buffers):
            for name, tensor in tensors.items():
                if tensor is None:
                    continue
                if id(tensor) not in replaced:
                    fake = torch.empty(tensor.shape, dtype=tensor.dtype)
                    is_weight = isinstance(tensor, torch.nn.Parameter)
                    replaced[id(tensor)] = torch.nn.Parameter(fake, tensor.requires_grad) if is_weight else fake
                tensors[name] = replaced[id(tensor)]


def _same(tensor: torch.Tensor) -> torch.Tensor:
    return tensor
