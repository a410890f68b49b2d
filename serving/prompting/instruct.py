"""Prompt template of instruct models: the request in plain words, and replies that need cleaning."""

from typing import Any

from serving.prompting import reply_cleaning
from snap2caption.post import MOST_HASHTAGS, SOME_EMOJI, Emoji, Length, Request, Tone, render
from snap2caption.text.chat_markup import without_markup

_MOST_WORDS = 40
"""The words of a caption without a requested length. People read the first line or two."""

_TONES = {
    Tone.PLAYFUL: "playful: light, cheerful and fun, with a wink",
    Tone.INSPIRATIONAL: "inspirational: warm and encouraging, with a thought that people can take with them",
    Tone.MINIMAL: "minimal: as few words as possible, calm and plain, without exclamation marks",
    Tone.PROFESSIONAL: "professional: clear, factual and polished, as a company or a photographer writes",
    Tone.WITTY: "witty: dry and clever, with a twist or a play on words",
}

LEAST_WORDS = {Length.SHORT: 3, Length.MEDIUM: 13, Length.LONG: 31}
"""The fewest words of a caption of each length. Except for the shortest one, each begins where another one ends."""

_EMOJI = {
    Emoji.NONE: "Use no emoji.",
    Emoji.SOME: f"Use one to {SOME_EMOJI} emoji that fit.",
    Emoji.MANY: f"Use more than {SOME_EMOJI} emoji that fit.",
}

RESPONSE_FORMAT: dict[str, Any] = {
    "type": "json_schema",
    "json_schema": {
        "name": "instagram_post",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {
                "caption": {"type": "string"},
                "hashtags": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["caption", "hashtags"],
            "additionalProperties": False,
        },
    },
}
"""The ``response_format`` of a caption request to servers with structured output (OpenAI's API reference, chat
completions), for templates with ``structured=True``.
"""


class InstructTemplate:
    """The template of a general instruct model, which was not trained for captions."""

    token_factor = 2
    """Introductions, labels and JSON take tokens, too, and languages other than English take more per word."""

    def __init__(self, *, structured: bool = False) -> None:
        """Make the template.

        Args:
            structured: whether to ask for a JSON object, for a server that enforces `RESPONSE_FORMAT`.
        """
        self._structured = structured

    def caption(self, request: Request) -> str:
        """Return the prompt for a caption. Each user input takes one line, without chat markup (`without_markup`)."""
        lines = ["Write an Instagram caption for this photo, in the first person, as the person who posts it."]
        lines += [f"- {line}" for line in _rules(request)]
        if request.voice:
            lines.append("These captions are by the same person. Write in their style, but do not copy them:")
            lines += [f"> {without_markup(caption)}" for caption in request.voice]
        if request.earlier:
            lines.append("Do not repeat this earlier caption; write a different one:")
            lines.append(f"> {without_markup(render(request.earlier))}")
        lines.append(
            f"Add {MOST_HASHTAGS} to 8 hashtags that name what is visible in the photo or where it is; "
            "no general ones such as #instagood or #photooftheday."
        )
        if request.corrections:
            lines.append("Your last answer did not follow these rules. This time:")
            lines += [f"- {without_markup(correction)}" for correction in request.corrections]
        lines.append(
            'Answer with a JSON object and nothing else: {"caption": "the caption", "hashtags": ["#first", "#second"]}'
            if self._structured
            else "Answer with the caption, then one line with the hashtags, and nothing else: no introduction, no labels, "
            "no quotation marks, no alternatives."
        )
        return "\n".join(lines)

    def description(self, request: Request) -> str:
        """Return the question for the alt text, in the caption's language."""
        language = f" in {without_markup(request.language)}" if request.language else ""
        return (
            f"Describe this photo{language} for a person who can't see it, in one or two plain sentences. "
            "Say only what is visible. No hashtags, no emoji, no introduction."
        )

    def clean(self, reply: str, *, finished: bool) -> str:
        """Return the caption and the hashtags of a reply in the post format."""
        return reply_cleaning.clean(reply, finished=finished)

    def clean_description(self, reply: str) -> str:
        """Return the alt text of a reply as one line; empty if the model refused."""
        return reply_cleaning.clean_description(reply)


def _rules(request: Request) -> list[str]:
    rules = ["Say only what is true of the photo. Invent no names, places or events."]
    if request.tone:
        rules.append(f"Tone: {_TONES[request.tone]}.")
    if request.length:
        rules.append(f"Length: {LEAST_WORDS[request.length]} to {request.length.words} words.")
    else:
        rules.append(f"Length: at most {_MOST_WORDS} words.")
    if request.emoji:
        rules.append(_EMOJI[request.emoji])
    if request.language:
        rules.append(f"Write the caption in {without_markup(request.language)}.")
    if request.location:
        rules.append(f"Place: {without_markup(request.location)}.")
    if request.hint:
        rules.append(f"Wish of the person who posts it: {without_markup(request.hint)}")
    return rules
