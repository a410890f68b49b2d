"""Complete prefill of photos and prompts, for tests of the decoder."""

from collections.abc import Sequence

from PIL.Image import Image

from serving.engines.local.decoder import Decoder
from serving.engines.local.sequence import PrefilledSequences, TokenSequence


def read_in(
    rows: Decoder,
    images: Sequence[Image],
    prompts: Sequence[str],
    own: Sequence[Sequence[TokenSequence]],
    chunk: int = 4096,
) -> PrefilledSequences:
    """Return sequences that are ready to be merged; at most *chunk* tokens are read at once."""
    rows.use_prefill_threads()
    prefill = rows.prefill(images, prompts, own, chunk=chunk)
    while (joining := prefill.step()) is None:
        pass
    return joining
