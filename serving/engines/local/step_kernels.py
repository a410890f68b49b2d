"""Step kernels: what a decoding step computes between two matrix products, compiled by Numba for this processor.

For one token per row, PyTorch's operations are so short that calling them takes longer than their work, all the more
as each product has just replaced what the processor's caches held. Four functions take the places of dozens of
operations (docs/decisions/engine.md). They are compiled when this module is imported, which takes seconds, or read
from Numba's cache.

All arrays are float32 and contiguous. The loops add up in any order (`fastmath`), so that they become SIMD code.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

_TILE = 32
"""Tokens of one head whose keys or values stay in the first-level cache while all queries that share it read them."""

_LOWEST = np.float32(-87)
"""Below this, the exponential function is no normal float32."""

_ROW, _ROWS = "float32[::1]", "float32[:, ::1]"

_F = np.float32


def _compiled(*arguments: str, inline: str = "never") -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that compiles a function: for *arguments* of these types at once, without any when called."""
    signature = [f"void({', '.join(arguments)})"] if arguments else None

    def decorate(function: Callable[..., Any]) -> Any:
        def compiled(*, cache: bool) -> Any:
            return numba.njit(signature, cache=cache, inline=inline, nogil=True, fastmath=True, error_model="numpy")(
                function
            )

        try:
            return compiled(cache=True)
        except RuntimeError:
            # There is no folder that the cache could be written to, as in a container with a read-only file system.
            return compiled(cache=False)

    return decorate


@_compiled(inline="always")
def _exp(x: Any) -> Any:
    """Return e to the power of *x*, at most 0, as Cephes' ``expf`` does; a loop of it becomes SIMD code."""
    x = max(x, _LOWEST)
    power = np.floor(x * _F(1.44269504) + _F(0.5))
    rest = x - power * _F(0.693359375) + power * _F(2.12194440e-4)
    series = _F(1.9875691500e-4)
    series = series * rest + _F(1.3981999507e-3)
    series = series * rest + _F(8.3334519073e-3)
    series = series * rest + _F(4.1665795894e-2)
    series = series * rest + _F(1.6666665459e-1)
    series = series * rest + _F(5.0000001201e-1)
    series = series * rest * rest + rest + _F(1)
    return series * np.int32((np.int32(power) + np.int32(127)) << np.int32(23)).view(np.float32)


@_compiled(_ROWS, _ROWS, _ROW, "float32", _ROWS)
def add_norm(x: Array, added: Array, weight: Array, epsilon: np.float32, normed: Array) -> None:
    """Add *added* to *x* in place, and write the RMS norm of the sum (Zhang and Sennrich 2019) to *normed*.

    All have the shape (rows, width), *weight* (width,).
    """
    rows, width = x.shape
    for row in range(rows):
        squares = _F(0)
        for column in range(width):
            value = x[row, column] + added[row, column]
            x[row, column] = value
            squares += value * value
        scale = _F(1) / np.sqrt(squares / _F(width) + epsilon)
        for column in range(width):
            normed[row, column] = x[row, column] * scale * weight[column]


@_compiled(_ROWS, _ROWS)
def swiglu(gate_up: Array, output: Array) -> None:
    """Write ``silu(gate) * up`` (Shazeer 2020) to *output*, of shape (rows, width).

    *gate_up*, of shape (rows, 2 * width), has the gates first.
    """
    rows, width = output.shape
    for row in range(rows):
        for column in range(width):
            gate = gate_up[row, column]
            power = _exp(-abs(gate))
            share = (_F(1) if gate >= 0 else power) / (_F(1) + power)
            output[row, column] = gate * share * gate_up[row, width + column]


@_compiled(_ROWS, _ROWS, _ROWS, _ROW, _ROWS)
def add_low_rank(x: Array, down: Array, up: Array, adapted: Array, output: Array) -> None:
    """Add ``x @ down.T @ up`` to *output* in the rows that *adapted*, of shape (rows,), does not have 0 for.

    *x* is (rows, in), *down* (rank, in), *up* (rank, out), *output* (rows, out).
    """
    rank, inputs = down.shape
    for row in range(x.shape[0]):
        if adapted[row] == 0:
            continue
        for place in range(rank):
            low = _F(0)
            for column in range(inputs):
                low += x[row, column] * down[place, column]
            for column in range(up.shape[1]):
                output[row, column] += low * up[place, column]


@_compiled()
def _rotate(head: Array, cos: Array, sin: Array, scale: np.float32, output: Array) -> None:
    """Write *head*, rotated (Su et al. 2021, in Llama's order of dimensions) and scaled, to *output*."""
    half = len(head) // 2
    for column in range(half):
        first, second = head[column] * scale, head[column + half] * scale
        output[column] = first * cos[column] - second * sin[column]
        output[column + half] = second * cos[column + half] + first * sin[column + half]


@_compiled()
def _score(query: Array, keys: Array, start: int, stop: int, scores: Array) -> None:
    """Write the products of *query* with the keys of the tokens from *start* to *stop* to *scores*."""
    width = keys.shape[1]
    fours = start + (stop - start) // 4 * 4
    for token in range(start, fours, 4):
        # Each column of the query is loaded once for four tokens.
        a, b, c, d = _F(0), _F(0), _F(0), _F(0)
        for column in range(width):
            x = query[column]
            a += x * keys[token, column]
            b += x * keys[token + 1, column]
            c += x * keys[token + 2, column]
            d += x * keys[token + 3, column]
        scores[token], scores[token + 1], scores[token + 2], scores[token + 3] = a, b, c, d
    for token in range(fours, stop):
        a = _F(0)
        for column in range(width):
            a += query[column] * keys[token, column]
        scores[token] = a


@_compiled()
def _softmax(scores: Array, start: int, stop: int) -> None:
    highest = scores[start]
    for token in range(start, stop):
        highest = max(highest, scores[token])
    total = _F(0)
    for token in range(start, stop):
        power = _exp(scores[token] - highest)
        scores[token] = power
        total += power
    for token in range(start, stop):
        scores[token] /= total


@_compiled()
def _mix(weights: Array, values: Array, start: int, stop: int, output: Array) -> None:
    """Add the values of the tokens from *start* to *stop*, by their *weights*, to *output*."""
    width = values.shape[1]
    eights = start + (stop - start) // 8 * 8
    for token in range(start, eights, 8):
        # Each column of the output is loaded and stored once for eight tokens.
        a, b, c, d = weights[token], weights[token + 1], weights[token + 2], weights[token + 3]
        e, f, g, h = weights[token + 4], weights[token + 5], weights[token + 6], weights[token + 7]
        for column in range(width):
            output[column] += (
                a * values[token, column]
                + b * values[token + 1, column]
                + c * values[token + 2, column]
                + d * values[token + 3, column]
                + e * values[token + 4, column]
                + f * values[token + 5, column]
                + g * values[token + 6, column]
                + h * values[token + 7, column]
            )
    for token in range(eights, stop):
        for column in range(width):
            output[column] += weights[token] * values[token, column]


@_compiled(_ROWS, _ROWS, _ROWS, "float32[:, :, :, :, ::1]", "int64[::1]", "int64", _ROWS)
def attend(
    qkv: Array, cos: Array, sin: Array, states: Array, starts: npt.NDArray[np.int64], token: int, output: Array
) -> None:
    """Compute the attention of one token per row, and keep its keys and values.

    Args:
        qkv: queries, keys and values of all heads, of shape (rows, heads * head width), before rotation.
        cos: cosines of the rows' positions, of shape (rows, head width).
        sin: the sines.
        states: the layer's KV cache, of shape (2, rows, key heads, tokens, head width): keys, then values.
        starts: the first token that each row looks at.
        token: the place of the new token in the cache.
        output: shape (rows, query heads * head width).
    """
    heads, width = states.shape[2], states.shape[4]
    groups = output.shape[1] // width // heads
    scale = _F(1) / np.sqrt(_F(width))
    queries = np.empty((groups, width), np.float32)
    scores = np.empty((groups, token + 1), np.float32)
    for row in range(len(output)):
        start = starts[row]
        for head in range(heads):
            keys, values = states[0, row, head], states[1, row, head]
            key, value = (groups * heads + head) * width, (groups * heads + heads + head) * width
            _rotate(qkv[row, key : key + width], cos[row], sin[row], _F(1), keys[token])
            values[token] = qkv[row, value : value + width]
            first = head * groups
            for query in range(groups):
                place = (first + query) * width
                _rotate(qkv[row, place : place + width], cos[row], sin[row], scale, queries[query])
                output[row, place : place + width] = 0
            for tile in range(start, token + 1, _TILE):
                for query in range(groups):
                    _score(queries[query], keys, tile, min(tile + _TILE, token + 1), scores[query])
            for query in range(groups):
                _softmax(scores[query], start, token + 1)
            for tile in range(start, token + 1, _TILE):
                for query in range(groups):
                    place = (first + query) * width
                    end = min(tile + _TILE, token + 1)
                    _mix(scores[query], values, tile, end, output[row, place : place + width])
