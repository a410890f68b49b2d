"""Complete prefill of photos and prompts, for tests of the decoder."""

from collections.abc import Sequence

from PIL.Image import Image

from serving.engines.local.decoder import Decoder
from serving.engines.local.sequence import PrefilledSequences, TokenSequence
from snap2caption.post import DESCRIBE_PROMPT


def read_in(
    decoder: Decoder,
    images: Sequence[Image],
    prompts: Sequence[str],
    sequences: Sequence[Sequence[TokenSequence]],
    chunk: int = 4096,
) -> PrefilledSequences:
    """Return sequences that are ready to be merged; at most *chunk* tokens are read at once."""
    decoder.use_prefill_threads()
    prefill = decoder.prefill(images, prompts, [DESCRIBE_PROMPT] * len(images), sequences, chunk=chunk)
    while (prefilled := prefill.step()) is None:
        pass
    return prefilled
