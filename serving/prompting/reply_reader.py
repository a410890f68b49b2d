"""Reader of model replies: finds the caption and the hashtags in the lines of a reply.

A reply is read line by line, in one pass. While it grows, its last line is held back as long as it may still become
an introduction, a label, a remark, a refusal or markup, which `regex` knows from partial matches. So text that was
returned once is never taken back.
"""

from enum import Enum, auto

import regex as re

from serving.prompting import reply_phrases as phrases
from serving.prompting.hashtag_list import (
    HASHTAG_LINE,
    is_spaced_list,
    read_hashtag_list,
    split_hashtags,
    without_last_hashtags,
)
from serving.prompting.quotes import Quoted, find_quotes
from serving.prompting.refusals import REFUSAL
from serving.prompting.reply_markup import FENCE, RULE, without_markdown
from snap2caption.hashtags import extract, unique
from snap2caption.post import Post, render
from snap2caption.text.segmentation import fold_words

_MOST_BEGINNINGS = 6
"""The most introductions and labels in front of a caption on one line."""

_FEW_CHARACTERS = 20
"""A caption of fewer characters may answer its own question."""

_FEW_WORDS = 4
"""A line of fewer words may be repeated on purpose."""

_NUMBER = r"(?:\(?{0}[.)]|#{0}[:.)]?|{0}\uFE0F?\u20E3)\s{{1,4}}(?=\S)"
_FIRST_NUMBER = re.compile(_NUMBER.format("1"))
_BULLET = re.compile(r"[-*•●▪–]\s{1,4}(?=\S)")
_ITEM = re.compile(rf"{_BULLET.pattern}|{_NUMBER.format('[0-9]{1,2}')}")
_SECOND_INLINE = re.compile(r"\s(?:\(?2[.)]|2\uFE0F?\u20E3)\s")
_HASHTAG_ITEM = re.compile(r"\d{1,2}[.)]\s{1,3}[#＃].*")
FROM_HASHTAG = re.compile(r"\s*+[#＃].*\Z", re.DOTALL)
_LAST_CHARACTER = re.compile(r"\X\Z")
_SAYS = re.compile(r"[\p{L}\p{N}\p{Extended_Pictographic}]")

_NOT_CAPTIONS = (phrases.INTRODUCTORY_LINE, phrases.INTERJECTION, phrases.REMARK, REFUSAL, phrases.ALTERNATIVE)
"""Patterns for whole lines."""

_HEADINGS = (phrases.OPTION, phrases.LABEL, phrases.OTHER_LABEL, phrases.INTRODUCTION)
"""Patterns for the beginning of a line that ends the caption before it."""


class State(Enum):
    """What the next line may be."""

    BEFORE = auto()
    CAPTION = auto()
    HASHTAGS = auto()
    """The caption is complete, and its list of hashtags has begun."""
    AFTER = auto()
    """The caption is complete. Hashtags may follow."""
    DONE = auto()


class ReplyReader:
    """Reads the lines of a reply, the last of which may still grow."""

    def __init__(self) -> None:
        self.state = State.BEFORE
        self._caption: list[str] = []
        self._tags: list[str] = []
        self._aside: list[str] = []
        """Lines about the photo that are the caption unless one with a label or an introduction follows."""
        self._remarks: list[str] = []
        """Lines before any caption that look like a remark. A reply of nothing else is the caption."""
        self._growing = ""
        """The beginning of the growing line, if it is part of the caption for sure."""
        self._introduced = False
        self._labeled = False
        """Whether the list of hashtags has a label, so that its entries need no signs."""
        self._listed = False
        """Whether the caption is the first one of a list."""

    def read(self, line: str, *, grows: bool) -> None:
        """Read the next line of the reply."""
        if grows:
            self._read_growing(line)
        elif FENCE.fullmatch(line) or (line.strip() and RULE.fullmatch(line)):
            if self.state is State.CAPTION:
                self.state = State.AFTER
        elif plain := without_markdown(line, finished=True):
            if self.state is State.BEFORE:
                self._read_before(plain)
            elif self.state is State.CAPTION:
                self._read_caption(plain)
            else:
                self._read_after(plain)

    def so_far(self) -> str:
        """Return the beginning of the caption that no further text changes."""
        lines = [*(self._caption or self._kept_aside()), self._growing] if self._growing else self._caption
        quoted = find_quotes(without_last_hashtags("\n".join(lines)))
        if quoted.kind is Quoted.OPEN or (quoted.kind is Quoted.WHOLE and self.state in (State.BEFORE, State.CAPTION)):
            return ""
        if not _SAYS.search(quoted.plain):
            return ""
        return str(FROM_HASHTAG.sub("", quoted.plain)).rstrip(" \t\n·•|-–—_.([\ufe0f")

    def whole(self) -> str:
        """Return the complete reply in the post format."""
        caption, tags = split_hashtags("\n".join(self._caption or dict.fromkeys(self._aside) or self._remarks[:1]))
        if not _SAYS.search(caption):
            # A lone brace or quotation mark is the rest of something that the model did not finish.
            caption = ""
        return render(Post(caption, tuple(unique([*tags, *self._tags]))))

    def _read_growing(self, line: str) -> None:
        if self.state not in (State.BEFORE, State.CAPTION) or line.lstrip()[:1] in (
            "",
            "`",
            "~",
            "#",
            "＃",
            "*",
            "_",
        ):
            return
        text = without_markdown(line, finished=False)
        if self.state is State.BEFORE:
            text = self._skip_beginnings(text, grows=True)
            if (bullet := _BULLET.match(text, partial=True)) and not bullet.partial:
                text = self._skip_beginnings(text[bullet.end() :], grows=True)
        if text and not self._may_be_other(text):
            self._growing = _stable(text)

    def _may_be_other(self, text: str) -> bool:
        """Whether a growing line may turn out to be something else than a part of the caption."""
        folded = text.casefold()
        return (
            not _SAYS.search(text)
            or any(pattern.fullmatch(text, partial=True) for pattern in (*_NOT_CAPTIONS, RULE))
            or (self.state is State.BEFORE and phrases.ABOUT_THE_PHOTO.fullmatch(text, partial=True))
            or any(pattern.match(text, partial=True) for pattern in (*_HEADINGS, *_HASHTAG_HEADINGS))
            or (self._is_item(text, grows=True))
            or (self._is_quoted() and find_quotes(text).kind is not Quoted.NOT)
            or any(earlier.casefold().startswith(folded) for earlier in self._caption)
        )

    def _is_item(self, text: str, *, grows: bool) -> bool:
        """Whether a line is the next item of the list that the caption is from, or may become the first one."""
        if self.state is State.BEFORE:
            return bool((match := _ITEM.match(text, partial=grows)) and (match.partial or _FIRST_NUMBER.match(text)))
        return self._listed and bool(_ITEM.match(text, partial=grows))

    def _is_quoted(self) -> bool:
        return len(self._caption) == 1 and find_quotes(self._caption[0]).kind is Quoted.WHOLE

    def _read_before(self, line: str) -> None:
        text = self._skip_beginnings(line, grows=False)
        item = _FIRST_NUMBER.match(text) or _BULLET.match(text)
        if item and not _SECOND_INLINE.search(text):
            self._listed = True
            text = self._skip_beginnings(text[item.end() :], grows=False)
        if not text or self._read_hashtags(text) or self.state is State.DONE:
            return
        if phrases.OTHER_LABEL.match(text):
            return
        if not self._introduced and phrases.ABOUT_THE_PHOTO.fullmatch(text):
            self._aside.append(text)
            return
        self._caption = self._kept_aside()
        self._append(text)
        quoted = find_quotes(without_last_hashtags(text))
        is_complete = (self._introduced or self._listed) and quoted.kind is Quoted.WHOLE
        self.state = State.AFTER if is_complete else State.CAPTION

    def _kept_aside(self) -> list[str]:
        return [] if self._introduced else list(dict.fromkeys(self._aside))

    def _skip_beginnings(self, text: str, *, grows: bool) -> str:
        """Return what follows introductions and labels at the beginning of a line, perhaps nothing."""
        for _ in range(_MOST_BEGINNINGS):
            if REFUSAL.fullmatch(text) and not grows:
                turn = phrases.INTRODUCTION.search(text)
                if not turn and not text.endswith((":", "：")):
                    self.state = State.DONE
                    return ""
                text = text[turn.end() :].lstrip() if turn else ""
            if any(pattern.fullmatch(text, partial=grows) for pattern in _NOT_CAPTIONS):
                if not grows:
                    self._introduced = True
                    self._remarks += [text] if phrases.REMARK.fullmatch(text) else []
                return ""
            beginning = self._match_beginning(text, grows=grows)
            if beginning is None:
                return _without_assent(text, grows=grows)
            if beginning.partial or (grows and not beginning[0].rstrip().endswith((":", "："))):
                return ""
            self._introduced = True
            text = text[beginning.end() :].lstrip()
        return text

    def _match_beginning(self, text: str, *, grows: bool) -> "re.Match[str] | None":
        patterns = [phrases.INTRODUCTION, phrases.OPTION, phrases.LABEL]
        if self._introduced or self._listed:
            patterns.append(phrases.STYLE_LABEL)
        return next((match for pattern in patterns if (match := pattern.match(text, partial=grows))), None)

    def _read_caption(self, line: str) -> None:
        if self._read_hashtags(line):
            self.state = State.HASHTAGS
        elif phrases.NEXT_SPEAKER.match(line):
            self.state = State.DONE
        elif (
            any(pattern.fullmatch(line) for pattern in _NOT_CAPTIONS)
            or any(pattern.match(line) for pattern in _HEADINGS)
            or self._is_item(line, grows=False)
            or (self._is_quoted() and find_quotes(line).kind is Quoted.WHOLE)
        ):
            self.state = State.AFTER
        elif line not in self._caption or len(fold_words(line)) < _FEW_WORDS:
            self._append(line)

    def _read_after(self, line: str) -> None:
        if self.state is State.HASHTAGS:
            if not self._read_hashtags(line):
                found = read_hashtag_list(line) if self._labeled else []
                self._tags += found
                self.state = State.HASHTAGS if found else State.AFTER
        elif not self._tags and self._read_hashtags(line):
            self.state = State.HASHTAGS

    def _read_hashtags(self, line: str) -> bool:
        """Read *line* if it is a list of hashtags, or the label of one."""
        if HASHTAG_LINE.fullmatch(line):
            self._tags += extract(line)
            return True
        if self._caption and is_spaced_list(line):
            self._tags += read_hashtag_list(line)
            return True
        if label := phrases.HASHTAG_LABEL.match(line):
            self._tags += read_hashtag_list(line[label.end() :])
            self._labeled = True
            return True
        return False

    def _append(self, text: str) -> None:
        """Add a line to the caption, without what follows it on the line."""
        if label := phrases.INLINE_HASHTAG_LABEL.search(text):
            self._tags += read_hashtag_list(text[label.end() :])
            text = text[: label.start()].rstrip()
        if remark := phrases.INLINE_REMARK.search(text):
            self._tags += extract(text[remark.start() :])
            text = text[: remark.start()].rstrip()
        self._caption.append(text)


_HASHTAG_HEADINGS = (phrases.HASHTAG_LABEL, _HASHTAG_ITEM, phrases.NEXT_SPEAKER)


def _without_assent(text: str, *, grows: bool) -> str:
    """Return *text* without "Sure!" in front of a caption; an empty text while that is open.

    A short question is a caption with it: ``Sure! Why not?``
    """
    assent = phrases.ASSENT.match(text, partial=grows)
    if assent is None:
        return text
    rest = text[assent.end() :]
    if len(rest) < _FEW_CHARACTERS and (grows or not rest or "?" in rest):
        return "" if grows else text
    return rest


def _stable(text: str) -> str:
    """Return the beginning of a growing line of the caption that no further text changes."""
    for pattern in (phrases.INLINE_HASHTAG_LABEL, phrases.INLINE_REMARK):
        if match := pattern.search(text, partial=True):
            text = text[: match.start()]
    # The next character may combine with the last one.
    return str(_LAST_CHARACTER.sub("", text)).rstrip()
