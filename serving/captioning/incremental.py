"""Incremental captions for streaming: only text that will also be part of the final answer."""

from collections.abc import Sequence

from serving.captioning.trimming import trim
from serving.engines.base import GenerationChunk
from serving.http.schemas import Options, Variant
from snap2caption.text.profanity import find_unsafe, safe_prefix
from snap2caption.text.truncation import whole_sentences


class IncrementalCaptions:
    """Turns the growing text of each variant into increments of its caption.

    The caption ends at the first hashtag. Words are held back until no later text can remove them.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._sent: dict[int, str] = {}

    def add(self, chunk: GenerationChunk) -> str:
        """Return the text to send for *chunk*, perhaps none: what it adds to the text sent before."""
        sent = self._sent.setdefault(chunk.variant, "")
        caption = chunk.text.partition("#")[0].partition("＃")[0].rstrip()
        language = self._options.language
        if find_unsafe(caption, language=language, creator_text=self._options.location or ""):
            # The word may grow into a harmless one. If not, the answer will contain another caption.
            return ""
        shown = safe_prefix(caption, language=language)
        if self._options.length is not None:
            # Sentences beyond the length are dropped, so each is held back until it is complete, except the first.
            shown = shown[: max(len(whole_sentences(caption)), len(_first_sentence(shown)))]
        shown = trim(shown, self._options.length, self._options.emoji)
        if not shown.startswith(sent):
            return ""
        self._sent[chunk.variant] = shown
        return shown[len(sent) :]

    def finalize(self, variants: Sequence[Variant]) -> list[tuple[str, int, str]]:
        """Return the events that turn the text sent so far into the answer's *variants*.

        Each is ``token`` or ``replace``, the number of the variant, and its text. A caption is replaced if it turned
        out not to be safe to publish, or if the answer has another caption in its place.
        """
        events: list[tuple[str, int, str]] = []
        for number, sent in sorted(self._sent.items()):
            caption = variants[number].caption if number < len(variants) else ""
            if not caption.startswith(sent):
                events.append(("replace", number, caption))
            elif caption != sent:
                events.append(("token", number, caption[len(sent) :]))
        return events


def _first_sentence(text: str) -> str:
    """Return the first sentence of *text*, complete or not."""
    return whole_sentences(text, most=1) or text
