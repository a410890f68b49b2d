"""Text model for inference: a Llama decoder with fused and packed weights, and an adapter that applies to single rows.

It computes what the modules of transformers do, with a fifth of the operations. In a decoding step, calling modules
takes longer than their products.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from serving.engines.local.kv_cache import KVCache
from serving.engines.local.lora import AdaptedRows, LowRank, base_layer, low_rank
from snap2caption.errors import UserError
from snap2caption.vlm.kernels import Kernel, WeightFormat, has_fbgemm, pack

ARCHITECTURES = frozenset({"llama", "mistral", "qwen2"})
"""The text models that this computes, by transformers' names: pre-norm layers, rotary positions, a gated MLP."""

_ATTENTION = ("q_proj", "k_proj", "v_proj")
_MLP = ("gate_proj", "up_proj")


@dataclass(frozen=True, slots=True)
class _Layer:
    """One layer. Products that share their input are fused."""

    attention_norm: torch.Tensor
    qkv: Kernel
    out: Kernel
    mlp_norm: torch.Tensor
    gate_up: Kernel
    down: Kernel


@dataclass(frozen=True, slots=True)
class _Adapter:
    """What an adapter adds to the products of one layer."""

    qkv: LowRank | None
    out: LowRank | None
    gate_up: LowRank | None
    down: LowRank | None


class TextWeights:
    """The packed weights of a text model, which all adapters of a base share."""

    def __init__(self, model: Any, form: WeightFormat) -> None:
        """Pack the text model of *model*, whose own weights are left as they are.

        Args:
            model: a vision-language model of transformers, perhaps with LoRA layers, which are left out.
            form: how to store the weights of linear layers.

        Raises:
            UserError: the text model is of another architecture.
        """
        check_architecture(model.config)
        text = model.get_decoder()
        precise: WeightFormat = "float16" if has_fbgemm() else "float32"
        self.dtype = torch.float32 if form in {"float16", "int8"} else model.dtype
        """The type of hidden states."""
        head = base_layer(model.get_output_embeddings())
        # It picks the tokens, so int8 would change them more often here than elsewhere.
        self.head = pack(head.weight, head.bias, precise if form == "int8" else form)
        self.norm = text.norm.weight.detach().to(self.dtype)
        self.layers = [self._pack(layer, form) for layer in text.layers]

    def norms(self) -> list[torch.Tensor]:
        """Return the weights of all norms, in the order in which they are applied."""
        of_layers = [norm for layer in self.layers for norm in (layer.attention_norm, layer.mlp_norm)]
        return [*of_layers, self.norm]

    def _pack(self, layer: Any, form: WeightFormat) -> _Layer:
        attention, mlp = layer.self_attn, layer.mlp
        return _Layer(
            layer.input_layernorm.weight.detach().to(self.dtype),
            _fuse([getattr(attention, name) for name in _ATTENTION], form),
            _fuse([attention.o_proj], form),
            layer.post_attention_layernorm.weight.detach().to(self.dtype),
            _fuse([getattr(mlp, name) for name in _MLP], form),
            _fuse([mlp.down_proj], form),
        )


class TextModel:
    """A text model with its adapter, if *model* has one."""

    def __init__(self, model: Any, weights: TextWeights) -> None:
        """Take the adapter of *model*, whose base has these *weights*."""
        text, config = model.get_decoder(), model.config.get_text_config()
        self._kv_heads = config.num_key_value_heads
        self._head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self.dtype = weights.dtype
        self._weights = weights
        self._heads = config.num_attention_heads
        self._epsilon = config.rms_norm_eps
        self._window = getattr(config, "sliding_window", None)
        self._activation = text.layers[0].mlp.act_fn
        self._intermediate = base_layer(text.layers[0].mlp.down_proj).in_features
        self._embedding = model.get_input_embeddings()
        self._rotary = text.rotary_emb
        self._adapters = [self._adapter(layer) for layer in text.layers]
        self._head_adapter = low_rank([model.get_output_embeddings()], self.dtype)

    def new_cache(self, rows: int) -> KVCache:
        """Return an empty cache for *rows* sequences."""
        like = torch.empty(0, dtype=self.dtype, device=self._embedding.weight.device)
        return KVCache(len(self._weights.layers), rows, self._kv_heads, self._head_dim, like)

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the embeddings of tokens, of shape (…, width)."""
        embedded: torch.Tensor = self._embedding(ids)
        return embedded.to(self.dtype)

    def adapted(self, rows: Sequence[bool]) -> AdaptedRows:
        """Return the rows that the adapter applies to, as `forward` takes them."""
        if all(rows) or not any(rows):
            return all(rows)
        return torch.tensor(rows, device=self._embedding.weight.device)[:, None].to(self.dtype)

    def attention_bias(self, padding: torch.Tensor, all_tokens: int, tokens: int) -> torch.Tensor | None:
        """Return what is added to the attention scores of the last *tokens* tokens: 0, or -inf where they must not look.

        Args:
            padding: the number of tokens of padding before each row, of shape (rows,).
            all_tokens: the length of the rows.
            tokens: the number of tokens to compute next, at the end of the rows.

        Returns:
            Shape (rows, 1, tokens, all tokens), or None if all tokens are visible.
        """
        columns = torch.arange(all_tokens, device=padding.device)
        queries = columns[-tokens:, None]
        visible = columns >= padding[:, None, None]
        if tokens > 1:
            visible = visible & (columns <= queries)
        if self._window is not None:
            visible = visible & (columns > queries - self._window)
        if bool(visible.all()):
            return None
        # Padding looks at itself: a row of scores that are all -inf would be NaN.
        visible = visible | (columns == queries)
        return torch.zeros((), dtype=self.dtype, device=padding.device).where(visible, -torch.inf)[:, None]

    def forward(
        self,
        embeddings: torch.Tensor,
        positions: torch.Tensor,
        bias: torch.Tensor | None,
        cache: KVCache,
        adapted: AdaptedRows,
    ) -> torch.Tensor:
        """Compute the next tokens of each sequence, and append their states to *cache*.

        Args:
            embeddings: shape (rows, tokens, width).
            positions: shape (rows, tokens).
            bias: as `attention_bias` returns it.
            cache: the states of all earlier tokens.
            adapted: the sequences that the adapter applies to.

        Returns:
            The logits of the last token, of shape (rows, vocabulary).
        """
        rows, tokens, width = embeddings.shape
        if isinstance(adapted, torch.Tensor):
            adapted = adapted.repeat_interleave(tokens, 0)
        cos, sin = self._rotation(embeddings, positions)
        cache.extend(tokens)
        x = embeddings.reshape(rows * tokens, width)
        for number, (layer, adapter) in enumerate(zip(self._weights.layers, self._adapters, strict=True)):
            normed = self._norm(x, layer.attention_norm)
            qkv = _product(layer.qkv, adapter.qkv, normed, adapted).view(rows, tokens, -1, self._head_dim)
            queries, values = qkv[:, :, : self._heads + self._kv_heads], qkv[:, :, self._heads + self._kv_heads :]
            # Queries and keys are rotated at once. Rolling swaps the halves of a head; the sine has their signs.
            rotated = torch.addcmul(queries * cos, queries.roll(self._head_dim // 2, -1), sin).transpose(1, 2)
            keys, seen = cache.write(number, rotated[:, self._heads :], values.transpose(1, 2))
            if tokens == 1:
                cache.prefetch(number)
            attended = nn.functional.scaled_dot_product_attention(
                rotated[:, : self._heads], keys, seen, attn_mask=bias, enable_gqa=self._heads != self._kv_heads
            )
            merged = attended.transpose(1, 2).reshape(rows * tokens, -1)
            x = x + _product(layer.out, adapter.out, merged, adapted)
            normed = self._norm(x, layer.mlp_norm)
            gate, up = _product(layer.gate_up, adapter.gate_up, normed, adapted).chunk(2, -1)
            x = x + _product(layer.down, adapter.down, self._activation(gate).mul_(up), adapted)
        last = self._norm(x.view(rows, tokens, width)[:, -1], self._weights.norm)
        if isinstance(adapted, torch.Tensor):
            adapted = adapted.view(rows, tokens, 1)[:, 0]
        return self.logits(last, adapted)

    def step(self, ids: torch.Tensor, padding: torch.Tensor, cache: KVCache, adapted: AdaptedRows) -> torch.Tensor:
        """Compute one more token of each sequence, and append its states to *cache*.

        Args:
            ids: the tokens, of shape (rows, 1).
            padding: the number of tokens of padding before each row, of shape (rows,).
            cache: the states of all earlier tokens.
            adapted: the sequences that the adapter applies to.

        Returns:
            The next logits, of shape (rows, vocabulary).
        """
        tokens = cache.tokens
        bias = self.attention_bias(padding, tokens + 1, 1)
        return self.forward(self.embed(ids), (tokens - padding)[:, None], bias, cache, adapted)

    def logits(self, x: torch.Tensor, adapted: AdaptedRows) -> torch.Tensor:
        """Return the logits, of shape (rows, vocabulary), of the last layer's normed output, of shape (rows, width)."""
        return _product(self._weights.head, self._head_adapter, x, adapted)

    def _adapter(self, layer: Any) -> _Adapter:
        attention, mlp = layer.self_attn, layer.mlp
        return _Adapter(
            low_rank([getattr(attention, name) for name in _ATTENTION], self.dtype),
            low_rank([attention.o_proj], self.dtype),
            low_rank([getattr(mlp, name) for name in _MLP], self.dtype),
            low_rank([mlp.down_proj], self.dtype),
        )

    def _rotation(self, embeddings: torch.Tensor, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return cosine and sine for all heads, of shape (rows, tokens, 1, head width).

        The first half of the sine is negative (rotary positions as in Su et al. 2021, in Llama's order of dimensions).
        """
        cos, sin = self._rotary(embeddings, positions)
        first, second = sin.chunk(2, -1)
        return cos[:, :, None], torch.cat([-first, second], -1)[:, :, None]

    def _norm(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return nn.functional.rms_norm(x, weight.shape, weight, self._epsilon)


def check_architecture(config: Any) -> None:
    """Check that the text model of *config* can be computed here.

    Raises:
        UserError: it is of another architecture.
    """
    architecture = config.get_text_config().model_type
    if architecture not in ARCHITECTURES:
        raise UserError(
            f"The text model is of the kind {architecture}, which does not run in the service's own process; "
            "run the model on a server such as vLLM or Ollama, and give its address with --engine."
        )


def can_compile(model: Any, weights: TextWeights) -> bool:
    """Return whether `compiled_step` has steps for *model*: in float32 on a CPU, with an MLP gated by SiLU."""
    gated_by_silu = model.config.get_text_config().hidden_act in {"silu", "swish"}
    return weights.dtype == torch.float32 and model.device.type == "cpu" and gated_by_silu


def _product(kernel: Kernel, adapter: LowRank | None, x: torch.Tensor, rows: AdaptedRows) -> torch.Tensor:
    output = kernel(x)
    return adapter.add(output, x, rows) if adapter else output


def _fuse(layers: Sequence[nn.Module], form: WeightFormat) -> Kernel:
    """Return one kernel for *layers* that share their input; its output is theirs, one after the other."""
    plain = [base_layer(layer) for layer in layers]
    biases = [layer.bias for layer in plain]
    bias = None
    if any(one is not None for one in biases):
        pairs = zip(plain, biases, strict=True)
        bias = torch.cat([layer.weight.new_zeros(layer.out_features) if one is None else one for layer, one in pairs])
    weight = plain[0].weight if len(plain) == 1 else torch.cat([layer.weight for layer in plain])
    return pack(weight, bias, form)
