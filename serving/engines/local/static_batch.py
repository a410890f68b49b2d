"""A batch of few shapes, each compiled once: a fixed number of slots with fixed room, of which some are idle.

On a GPU a step of a small batch takes as long as its kernels take to launch. A step whose shapes and addresses stay the same is recorded as a
CUDA graph and launched as one. So the number of slots is a power of two and their room a multiple of some tokens; each row writes at its own
position, and idle slots compute what nobody reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from types import FunctionType
from typing import Any
from weakref import finalize

import torch
from torch._C._dynamo.eval_frame import reset_code
from transformers.cache_utils import Cache, CacheLayerMixin

from serving.engines.local.lora import Adapter
from serving.engines.local.sequence import Joining, Row

TOKENS = 256
"""The room of a slot is a multiple of so many tokens."""

_SHAPES = 64
"""How many shapes of a step are compiled at most; further ones run uncompiled."""

_SHRINK = 4
"""The slots get fewer when so many times less would do: to move rows copies what they remember."""


class _Layer(CacheLayerMixin):
    """Keys and values of shape (slots, heads, tokens, width), of which a step writes one token a slot, each at its own position."""

    is_compileable = True
    is_sliding = False
    keys: torch.Tensor
    values: torch.Tensor

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, slots: torch.Tensor, positions: torch.Tensor) -> None:
        super().__init__()
        self.keys, self.values = keys, values
        self._slots, self._positions = slots, positions
        self.is_initialized = True

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Do nothing: it is there from the start."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the states of a token a slot; return all, also what is not written yet, which the mask hides."""
        for held, states in ((self.keys, key_states), (self.values, value_states)):
            held[self._slots, :, self._positions] = states[:, :, 0]
        return self.keys, self.values

    def get_mask_sizes(self, _: int) -> tuple[int, int]:
        """Return how many tokens are looked at, and from which on."""
        return self.get_max_length(), 0

    def get_seq_length(self) -> int:
        """Return nothing of use: each slot holds as many tokens as its own position says."""
        return 0

    def get_max_length(self) -> int:
        """Return a slot's room."""
        room: int = self.keys.shape[2]
        return room


class _Block(Cache):
    """The slots of one shape, with what a step reads: all of it stays where it is, so that a recorded step finds it again."""

    layers: Sequence[_Layer]

    def __init__(self, pairs: Sequence[Sequence[torch.Tensor]], dtype: torch.dtype) -> None:
        keys = pairs[0][0]
        self.slots, self.room = keys.shape[0], keys.shape[2]
        self.inputs = torch.zeros((2, self.slots), dtype=torch.long, device=keys.device)
        """The token that is read in each slot, and its position."""
        self.ids, self.positions = self.inputs
        self.share = torch.ones((self.slots, 1, 1), dtype=dtype, device=keys.device)
        """What the adapter counts for in each slot: 1 or 0."""
        self.columns = torch.arange(self.room, device=keys.device)
        rows = torch.arange(self.slots, device=keys.device)
        held = [tensor for pair in pairs for tensor in pair]
        for tensor in (*held, self.ids, self.positions, self.share, self.columns, rows):
            torch._dynamo.mark_static_address(tensor)
        super().__init__(layers=[_Layer(keys, values, rows, self.positions) for keys, values in pairs])


@dataclass(slots=True, eq=False)
class _Place:
    """A row in its slot."""

    row: Row
    slot: int
    held: int
    """Tokens that are remembered; the next one is written after them."""
    needed: int
    """Tokens that it may come to hold."""


class Slots:
    """The rows of a running batch in slots. Rows take slots when they join, and give them back when they are done."""

    def __init__(
        self, model: Any, adapter: Adapter, *, tokens: int = TOKENS, compiled: bool = True, backend: str = "inductor"
    ) -> None:
        """Take the model and its adapter.

        Args:
            model: without PEFT's wrapper; its attention takes masks of four dimensions, as transformers' sdpa and eager do.
            adapter: the adapter in it.
            tokens: the room of a slot is a multiple of it.
            compiled: whether steps are compiled, or run as they are.
            backend: of `torch.compile`.
        """
        self._model = model
        self._adapter = adapter
        self._tokens = tokens
        self._forward = _forward
        # CUDA graphs are recorded on a GPU alone.
        self._graphs = compiled and backend == "inductor" and model.device.type == "cuda"
        if compiled:
            # Torch keeps what is compiled with the code that it is compiled of. A copy of its own lets this model's go when the model does, and
            # keeps versions that come and go from using up together how often a function may be compiled.
            own = FunctionType(_forward.__code__.replace(), _forward.__globals__)
            finalize(self, reset_code, own.__code__)
            self._forward = torch.compile(
                own,
                dynamic=False,
                backend=backend,
                mode="reduce-overhead" if self._graphs else None,
                recompile_limit=_SHAPES,
                isolate_recompiles=True,
            )
        self.clear()

    def clear(self) -> None:
        """Leave all rows, and free the memory."""
        self._places: list[_Place] = []
        self._storage: list[list[torch.Tensor]] = []
        self._blocks: dict[tuple[int, int], _Block] = {}
        self._block: _Block | None = None
        self._adapter.traced = None

    @property
    def rows(self) -> list[Row]:
        """The rows that are in."""
        return [place.row for place in self._places]

    def join(self, joining: Joining) -> None:
        """Copy rows that have been read into slots, and go on with them beside the others."""
        self._leave()
        held = joining.positions.tolist()
        needed = [count + row.decoding.max_new_tokens for row, count in zip(joining.rows, held, strict=True)]
        block = self._block if self._places else None
        slots = _power_of_two(len(self._places) + len(needed))
        room = self._multiple(max([*needed, *(place.needed for place in self._places)]))
        if block is None or block.slots < slots or block.room < room:
            # No larger than these rows need, in both: the memory is counted by that.
            self._reshape(slots, room, joining)
        block = self._in_use
        taken = {place.slot for place in self._places}
        free = (slot for slot in range(block.slots) if slot not in taken)
        new = [_Place(*four) for four in zip(joining.rows, free, held, needed, strict=False)]
        for number, place in enumerate(new):
            for layer, read in zip(block.layers, joining.cache.layers, strict=True):
                # They were read with padding on the left, which has no place here.
                for own, states in ((layer.keys, read.keys), (layer.values, read.values)):
                    _put(own, place.slot, states[number, :, states.shape[2] - place.held :])
        self._places += new
        self._share_out()

    def settle(self) -> None:
        """Free the slots of rows that are done; move the others together where far fewer slots would do."""
        self._leave()
        if self._places and _SHRINK * _power_of_two(len(self._places)) <= self._in_use.slots:
            room = self._multiple(max(place.needed for place in self._places))
            self._reshape(_power_of_two(len(self._places)), room)
            self._share_out()

    def step(self) -> torch.Tensor:
        """Read the last token of each row. Return what may follow: logits of shape (rows, vocabulary)."""
        block = self._in_use
        ids, positions = [0] * block.slots, [0] * block.slots
        for place in self._places:
            ids[place.slot], positions[place.slot] = place.row.tokens[-1], place.held
            place.held += 1
        block.inputs.copy_(torch.tensor([ids, positions]))
        if self._graphs:
            torch.compiler.cudagraph_mark_step_begin()
        with self._adapter.by(block.share):
            logits = self._forward(self._model, block)
        # A copy, which outlives the next step: a recorded one returns the same memory each time.
        return logits[torch.tensor([place.slot for place in self._places], device=logits.device)]

    def longest(self, rows: int, memory: int) -> int:
        """Return how many tokens each of so many rows may hold, within a *memory* of so many tokens: a slot's room, of a power of two of slots."""
        return memory // _power_of_two(rows) // self._tokens * self._tokens

    @property
    def _in_use(self) -> _Block:
        if self._block is None:
            raise RuntimeError("no rows have joined")
        return self._block

    def _multiple(self, tokens: int) -> int:
        return -(-tokens // self._tokens) * self._tokens

    def _leave(self) -> None:
        self._places = [place for place in self._places if not place.row.done]

    def _share_out(self) -> None:
        share = torch.ones(self._in_use.slots)
        for place in self._places:
            share[place.slot] = float(not place.row.bare)
        self._in_use.share.copy_(share[:, None, None])

    def _reshape(self, slots: int, room: int, like: Joining | None = None) -> None:
        """Go on in a block of another shape, with the rows that are in moved together; *like* has layers like the first block's."""
        old, places = self._block, self._places
        sources: Sequence[Any] = old.layers if old else like.cache.layers if like else ()
        moved = [
            [[states[place.slot, :, : place.held].clone() for place in places] for states in (one.keys, one.values)]
            for one in sources
        ]
        shapes = [[(slots, s.shape[1], room, s.shape[3]) for s in (one.keys, one.values)] for one in sources]
        self._grow(sources, shapes)
        if (slots, room) not in self._blocks:
            views = [
                [flat[: prod(shape)].view(shape) for flat, shape in zip(*pair, strict=True)]
                for pair in zip(self._storage, shapes, strict=True)
            ]
            self._blocks[slots, room] = _Block(views, self._model.dtype)
        self._block = self._blocks[slots, room]
        for layer, pair in zip(self._block.layers, moved, strict=True):
            for own, kept in zip((layer.keys, layer.values), pair, strict=True):
                for number, states in enumerate(kept):
                    _put(own, number, states)
        for number, place in enumerate(places):
            place.slot = number
        self._adapter.traced = self._block.share

    def _grow(self, sources: Sequence[Any], shapes: Sequence[Sequence[tuple[int, ...]]]) -> None:
        """See to it that the memory suffices. All blocks begin where it begins, so those of smaller memory are forgotten when it grows."""
        sizes = [[prod(shape) for shape in pair] for pair in shapes]
        held = [[flat.numel() for flat in pair] for pair in self._storage]
        if held and all(
            have >= want for pair in zip(held, sizes, strict=True) for have, want in zip(*pair, strict=True)
        ):
            return
        self._blocks.clear()
        self._storage = [
            [one.keys.new_zeros(keys), one.values.new_zeros(values)]
            for one, (keys, values) in zip(sources, sizes, strict=True)
        ]


def _forward(model: Any, block: _Block) -> torch.Tensor:
    """Read a token a slot; return logits of shape (slots, vocabulary)."""
    hidden = block.columns > block.positions[:, None]
    mask = torch.zeros(hidden.shape, dtype=model.dtype, device=hidden.device)
    mask = mask.masked_fill(hidden, torch.finfo(mask.dtype).min)
    logits: torch.Tensor = model(
        input_ids=block.ids[:, None],
        attention_mask=mask[:, None, None],
        position_ids=block.positions[:, None],
        past_key_values=block,
        use_cache=True,
    ).logits[:, -1]
    return logits


def _put(own: torch.Tensor, slot: int, states: torch.Tensor) -> None:
    """Write *states* of shape (heads, tokens, width) into a slot. Zeros behind: what is masked is still multiplied, and what is old may hold NaN."""
    held = states.shape[1]
    own[slot, :, :held] = states
    own[slot, :, held:] = 0


def _power_of_two(number: int) -> int:
    return 1 << (number - 1).bit_length()
