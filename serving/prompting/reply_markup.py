"""Markup in model replies: special tokens, reasoning blocks, HTML tags and Markdown, removed from text that may grow."""

import regex as re

_REASONING = re.compile(
    r"<(think|thinking|thought|reasoning|seed:think)>.*?(?:</\1>|\Z)|◁think▷.*?(?:◁/think▷|\Z)"
    r"|\[THINK\].*?(?:\[/THINK\]|\Z)|<\|channel>.*?(?:<channel\|>|\Z)",
    re.DOTALL,
)
"""Matches reasoning in the formats of Qwen, Kimi, Mistral and Gemma, among others."""

_LAST_REASONING = re.compile(
    r"\A.*(?:</(?:think|thinking|thought|reasoning|seed:think)>|◁/think▷|\[/THINK\]|<channel\|>)", re.DOTALL
)
"""Matches reasoning whose opening tag was part of the prompt."""

_TURN_START = re.compile(
    r"(?:<\|im_start\|>|<start_of_turn>|<\|turn>|<\|start_header_id\|>|<\|)(?:assistant|model)(?:<\|end_header_id\|>|\|>)?\s*"
)
_END = re.compile(
    r"<\|(?:im_end|im_start|endoftext|end|end_of_text|eot_id|eom_id|user|system|start_header_id)\|>"
    r"|</s>|<eos>|<turn\|>|<\|turn>|<end_of_turn>|<start_of_turn>|<end_of_utterance>|<｜[^<>\s]{1,40}｜>|\[/?INST\]"
)
"""Matches a token that ends the reply. What a model writes after it is an invented next turn."""

_NEW_LINE = re.compile(
    r"(?:\\n)+(?![a-z])|<br\s?/?>|</?(?:p|div|li|ul|ol|h[1-6]|caption|post|answer|response|output)>", re.IGNORECASE
)
_HASHTAGS = re.compile(r"<(?:hashtags?|tags)>", re.IGNORECASE)
_TAG = re.compile(
    r"<\|[^<>|\s]{1,40}\|>|</?(?:s|b|i|u|em|strong|span|code|bos|pad|unk|image|row_\d_col_\d|global-img"
    r"|fake_token_around_image|hashtags?|tags)>|<0x[0-9A-F]{2}>",
    re.IGNORECASE,
)
_UNFINISHED_TAG = re.compile(r"(?:(?:\\n)*\\n?|<[^<>\s]{0,40}|\[/?[A-Z]{0,6}|◁[^▷\s]{0,8})\Z")

_LINE_PREFIX = re.compile(r"\s{0,12}(?:(?:#{1,6}(?=\s)|>)\s{0,6})*")
"""Matches the marks of a heading or a quotation."""

_WHOLE_EMPHASIS = re.compile(r"([*_])(?=[^\s*_])([^\n]{1,2000})(?<=[^\s*_])\1")

_INLINE = (
    # Images, links, and a count of words, as models add it.
    (re.compile(r"!\[[^\[\]\n]{0,200}\]\([^()\s]{1,500}\)"), ""),
    (re.compile(r"\[([^\[\]\n]{1,200})\]\([^()\s]{1,500}\)"), r"\1"),
    (
        re.compile(
            r"\s?[*_]{0,2}[(\[]\s?(?:approx\.?|about|exactly|ca\.?|~)?\s?\d{1,3}\s?(?:words?|wörter|worte|palabras|mots|"
            r"parole|palavras|woorden|ord|słów|слов\p{L}{0,2}|kelime|kata|characters?|zeichen|字|語|단어)\s?[)\]]",
            re.IGNORECASE,
        ),
        "",
    ),
    # Asterisks between Latin letters hide a swear word.
    (re.compile(r"(?<![A-Za-z*])\*{2,3}(?!\*)|(?<!\*)\*{2,3}(?![A-Za-z*])"), ""),
    # At the beginning of a line, one or two words in lowercase may describe an action: *yawns*, *happy dance*.
    (
        re.compile(r"\A\*(?=[^\s*])((?:\p{Lu}[^*\s]*\s+|(?:[^*\s]+\s+){2})(?:[^*\s]+\s+){0,58}[^*\s]+)\*(?=\s|\Z)"),
        r"\1",
    ),
    (re.compile(r"(?<=[\p{L},;]\s)\*(?=[^\s*])([^*\n]{1,200})(?<=[^\s*])\*(?![\w*])"), r"\1"),
    (re.compile(r"(?<!\w)__(?=[^\s_])([^_\n]{1,300})(?<=[^\s_])__(?!\w)"), r"\1"),
    (re.compile(r"~~(?=[^\s~])([^~\n]{1,300})~~"), r"\1"),
    (re.compile(r"(?<![\w`])`([^`\n]{1,300})`(?!`)"), r"\1"),
    (re.compile(r"\\(?=[*#\"\[\]!>~])"), ""),
)
_UNFINISHED_INLINE = re.compile(
    r"(?:!?\[[^\[\]\n]{0,200}(?:\](?:\([^()\s]{0,500})?)?|!|\s?[*_]{0,2}[(\[][^()\[\]\n]{0,40}|\*{1,4}|_{1,2}|~{1,2}|\\"
    r"|(?<=[\p{L},;]\s)\*[^*\n]{0,200}\*?|(?<!\w)__[^_\n]{0,300}_?|~~[^~\n]{0,300}~?|(?<![\w`])`[^`\n]{0,300}`?)\Z"
)

RULE = re.compile(r"\s{0,6}(?:[-*_=–—~]\s{0,2}){3,80}")
"""Matches a horizontal rule."""

FENCE = re.compile(r"\s{0,6}(?:`{3,}|~{3,})\s{0,3}[\w+-]{0,20}\s{0,3}")
"""Matches the beginning or end of a code block."""


def without_tokens(reply: str, *, finished: bool) -> str:
    """Return *reply* without reasoning and special tokens. HTML's line breaks and blocks become lines.

    Unless the reply is *finished*, what may be the beginning of a tag at its end is left out.
    """
    text = _LAST_REASONING.sub("", _REASONING.sub("", reply)).lstrip()
    if not finished:
        text = _UNFINISHED_TAG.sub("", text)
    starts = _TURN_START.match(text)
    text = text[starts.end() :] if starts else text
    if (end := _END.search(text)) and text[: end.start()].strip():
        text = text[: end.start()]
    text = _HASHTAGS.sub("\nHashtags: ", _NEW_LINE.sub("\n", _END.sub("", text)))
    return str(_TAG.sub("", text)).replace("\r\n", "\n").replace("\r", "\n")


def without_markdown(line: str, *, finished: bool) -> str:
    """Return *line* as plain text with single spaces.

    Unless the line is *finished*, what may be the beginning of markup at its end is left out.
    """
    line = line[_LINE_PREFIX.match(line).end() :]
    if not finished:
        line = _UNFINISHED_INLINE.sub("", line)
    for pattern, plain in _INLINE:
        line = pattern.sub(plain, line)
    line = " ".join(line.split())
    whole = _WHOLE_EMPHASIS.fullmatch(line)
    return whole[2] if whole else line


def may_be_emphasis(line: str) -> bool:
    """Whether a line that still grows may turn out to be emphasized as a whole."""
    return line.startswith(("*", "_")) and line[1:2] not in ("", " ")
