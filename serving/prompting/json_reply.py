"""JSON replies of models: the caption and the hashtags of an object that may still be incomplete."""

from dataclasses import dataclass

import regex as re

from snap2caption.text.invisible_characters import UNSEEN

_STRING = r'"((?:[^"\\]++|\\.)*+)("?)'

START = re.compile(r'\s{0,20}(?:`{3,}\w{0,10}\s{0,20})?(?:\[\s{0,20})?\{\s{0,20}"')
"""Matches the beginning of an object, perhaps in a code block or a list."""

_CAPTION = re.compile(
    r'"(?:instagram_?)?(?:caption|text|post|bildunterschrift|beschriftung|leyenda|legende|légende|didascalia|legenda)'
    rf'(?:_?text)?"\s*+:\s*+(?:\[\s*+)?{_STRING}',
    re.IGNORECASE | re.DOTALL,
)
_HASHTAGS = re.compile(r'"(?:hash_?tags?|tags)"\s*+:\s*+(\[[^\]]*+|"[^"]*+")', re.IGNORECASE)
_WHOLE_STRING = re.compile(r'"((?:[^"\\]++|\\.)*+)"', re.DOTALL)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_UNFINISHED_ESCAPE = re.compile(r"(?:\\u[dD][89abAB][0-9a-fA-F]{2})?(?:\\(?:u[0-9a-fA-F]{0,3})?)?\Z")
_SIGNS = {"n": "\n", "r": "\n", "t": " ", "b": "", "f": ""}


@dataclass(frozen=True, slots=True)
class JsonReply:
    """What a JSON reply says so far."""

    caption: str
    is_caption_complete: bool
    hashtags: tuple[str, ...]


def read_json(text: str) -> JsonReply:
    """Return the first caption and the first list of hashtags in *text*, which begins with `START`.

    Only complete hashtags are returned. Invalid escapes are read as the character that is escaped.
    """
    caption, hashtags = _CAPTION.search(text), _HASHTAGS.search(text)
    return JsonReply(
        _unescape(caption[1], complete=bool(caption[2])) if caption else "",
        bool(caption and caption[2]),
        tuple(_unescape(tag, complete=True) for tag in _WHOLE_STRING.findall(hashtags[1])) if hashtags else (),
    )


def _unescape(text: str, *, complete: bool) -> str:
    if not complete:
        text = _UNFINISHED_ESCAPE.sub("", text, count=1)
    plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else _SIGNS.get(found[2], found[2]), text)
    return str(UNSEEN.sub("", plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")))
