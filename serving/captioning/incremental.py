"""What can be shown of captions that are still being written: only what the answer will hold too."""

from collections.abc import Sequence

from serving.captioning.profanity import find_unsafe, settled
from serving.captioning.trimming import finish, whole_sentences
from serving.engines.base import GenerationChunk
from serving.http.schemas import Options, Variant


class IncrementalCaptions:
    """Turns what is written so far into what is new of it, by variant: the caption up to its first hashtag, as far as it is sure to stay."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._sent: dict[int, str] = {}

    def take(self, piece: GenerationChunk) -> str:
        """Return what *piece* adds to the variant's earlier ones. The last words are held back, until it is clear what becomes of them."""
        sent = self._sent.setdefault(piece.variant, "")
        caption = piece.text.partition("#")[0].partition("＃")[0].rstrip()
        language = self._options.language
        if find_unsafe(caption, language=language, said=self._options.location or ""):
            # The word may be but the beginning of a better one; if not, the answer holds another caption.
            return ""
        shown = settled(caption, language=language)
        if self._options.length is not None:
            # A sentence too many is left out, so none is shown before it is whole; the first one always stays.
            shown = shown[: max(len(whole_sentences(caption)), len(_first(shown)))]
        shown = finish(shown, self._options.length, self._options.emoji)
        if not shown.startswith(sent):
            return ""
        self._sent[piece.variant] = shown
        return shown[len(sent) :]

    def rest(self, variants: Sequence[Variant]) -> list[tuple[str, int, str]]:
        """Return how to get from what was sent to the answer's *variants*: ``token`` or ``replace``, the variant, and its text.

        A caption is replaced if it turned out not fit to be posted, or the answer has another in its place.
        """
        events: list[tuple[str, int, str]] = []
        for number, sent in sorted(self._sent.items()):
            caption = variants[number].caption if number < len(variants) else ""
            if not caption.startswith(sent):
                events.append(("replace", number, caption))
            elif caption != sent:
                events.append(("token", number, caption[len(sent) :]))
        return events


def _first(text: str) -> str:
    """Return the first sentence of *text*, whole or not."""
    return whole_sentences(text, most=1) or text
