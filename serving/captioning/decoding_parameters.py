"""Decoding parameters of a request: token limit, temperature and seeds, by the creator's options."""

from serving.http.schemas import Options, Part
from snap2caption.post import Length
from snap2caption.vlm import Decoding

_SAMPLING_TEMPERATURE = 0.8
"""The temperature of variants, and of captions with a seed."""

_TOKEN_SHARES = {Length.SHORT: 0.5, Length.MEDIUM: 0.75, Length.LONG: 1.0, None: 1.0}
"""The share of the token limit that each requested length may use."""

_RETRY_CAPTIONS = 2
"""The number of captions to generate if none of the first ones is safe to publish."""


def caption_decodings(options: Options, max_new_tokens: int) -> tuple[Decoding, ...]:
    """Return the decoding parameters of each variant.

    The first variant is greedy, unless the request has a seed or regenerates a part of the post.
    """
    tokens = _token_limit(options, max_new_tokens)
    seed = options.seed or 0
    # A regenerated caption must differ, so it is not decoded greedily.
    greedy = options.seed is None and options.regenerate is None
    first = Decoding(tokens) if greedy else Decoding(tokens, _SAMPLING_TEMPERATURE, seed=seed)
    # Regenerated hashtags all belong to the same caption, so there are no variants.
    variants = 1 if options.regenerate is Part.HASHTAGS else options.variants
    return (
        first,
        *(Decoding(tokens, _SAMPLING_TEMPERATURE, seed=seed + variant) for variant in range(1, variants)),
    )


def retry_decodings(options: Options, max_new_tokens: int) -> tuple[Decoding, ...]:
    """Return the decoding parameters of more captions, if none of the first ones is safe to publish."""
    first = (options.seed or 0) + options.variants
    return tuple(
        Decoding(_token_limit(options, max_new_tokens), _SAMPLING_TEMPERATURE, seed=first + other)
        for other in range(_RETRY_CAPTIONS)
    )


def _token_limit(options: Options, max_new_tokens: int) -> int:
    return round(max_new_tokens * _TOKEN_SHARES[options.length])
