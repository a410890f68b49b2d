"""Caption templates in five tones of voice, as people post them."""

import random
import re

from demo.corpus.lexicon import CITIES, MOODS, SUBJECTS, TIMES, WEATHERS
from demo.corpus.tags import write_tags
from demo.corpus.voices import VOICES, TonePhrases
from demo.scenes.scene import Scene
from snap2caption.post import Tone

HANDLES = (
    "@maya.frames",
    "@leo_walks",
    "@citybyfoot",
    "@noor.photo",
    "@sam.and.sky",
    "@the.early.lens",
    "@ravi_shoots",
    "@ella.outside",
)
_INLINE_TAG_SHARE = 0.22
_MENTION_SHARE = 0.12
_URL_SHARE = 0.05
_OPENER_SHARE = 0.55
_CLOSER_SHARE = 0.5
_MOOD_SHARE = 0.4
_ONE_LINE_SHARE = 0.8
_FEW_WORDS = 5
"""A minimal caption of fewer words has room for another."""


def pick_tone(rng: random.Random) -> Tone:
    """Draw the tone of a post."""
    return rng.choice(list(Tone))


def write_caption(scene: Scene, rng: random.Random, tone: Tone | None = None) -> str:
    """Write a post about *scene*: its caption, then its hashtags.

    Args:
        scene: what the picture shows; subject, time and weather are named in the caption, the city in it or in a
            hashtag.
        rng: where every choice comes from.
        tone: whose style it has; drawn if left out.
    """
    tone = tone or pick_tone(rng)
    caption = _minimal(scene, rng) if tone is Tone.MINIMAL else _in_full(scene, VOICES[tone], rng)
    emoji = _emoji(scene, tone, rng)
    caption = f"{caption} {emoji}" if emoji else caption
    if rng.random() < _INLINE_TAG_SHARE:
        caption = _tag_inline(caption, scene)
    return _attach(caption, write_tags(scene, rng), rng)


def _minimal(scene: Scene, rng: random.Random) -> str:
    voice = VOICES[Tone.MINIMAL]
    text = rng.choice(voice.sentences).format(
        subject=rng.choice(SUBJECTS[scene.subject].cues),
        time=rng.choice([cue for cue in TIMES[scene.time].cues if " " not in cue]),
        weather=rng.choice(WEATHERS[scene.weather].cues),
    )
    return (
        f"{text}. {rng.choice(voice.closers)}"
        if len(text.split()) < _FEW_WORDS and rng.random() < _CLOSER_SHARE
        else text
    )


def _in_full(scene: Scene, voice: TonePhrases, rng: random.Random) -> str:
    subject, time = rng.choice(SUBJECTS[scene.subject].prose), rng.choice(TIMES[scene.time].prose)
    text = rng.choice(voice.sentences).format(
        city=rng.choice(CITIES[scene.city].prose),
        subject=subject,
        time=time,
        weather=rng.choice(WEATHERS[scene.weather].prose),
        subject_start=_capital(subject),
        time_start=_capital(time),
    )
    parts = [_capital(text)]
    if rng.random() < _OPENER_SHARE:
        opener = rng.choice(voice.openers)
        parts = [opener, text if opener.endswith(":") else parts[0]]
    if rng.random() < _CLOSER_SHARE:
        parts.append(rng.choice(MOODS[scene.mood].prose if rng.random() < _MOOD_SHARE else voice.closers))
    return (" " if rng.random() < _ONE_LINE_SHARE else "\n").join(parts)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _emoji(scene: Scene, tone: Tone, rng: random.Random) -> str:
    voice = VOICES[tone]
    if not voice.emoji:
        return ""
    about = [SUBJECTS[scene.subject], TIMES[scene.time], WEATHERS[scene.weather], MOODS[scene.mood], CITIES[scene.city]]
    if tone is Tone.PLAYFUL:
        chosen = [rng.choice(voice.emoji), *(rng.choice(words.emoji) for words in rng.sample(about, rng.randint(1, 3)))]
        return "".join(dict.fromkeys(chosen))
    if tone is Tone.MINIMAL:
        return rng.choice((rng.choice(voice.emoji), "", "", rng.choice(about[rng.randrange(3)].emoji)))
    return rng.choice(voice.emoji)


def _tag_inline(caption: str, scene: Scene) -> str:
    """Turn the first mention of the city that is followed by another word into a hashtag."""
    words = CITIES[scene.city]
    names = "|".join(
        sorted({re.escape(name) for name in words.prose if not name.startswith("the ")}, key=len, reverse=True)
    )
    return re.sub(rf"\b(?:{names})(?= \w)", f"#{words.tags[0]}", caption, count=1)


def _attach(caption: str, tags: list[str], rng: random.Random) -> str:
    """Add what stands around a caption: a mention, a link, and the hashtags in one of the usual layouts."""
    if rng.random() < _MENTION_SHARE:
        caption = f"{caption} {rng.choice(HANDLES)}"
    if rng.random() < _URL_SHARE:
        caption = f"{caption} https://example.com/p/{rng.getrandbits(32):08x}"
    block = " ".join(f"#{tag}" for tag in tags)
    layout = rng.random()
    if layout < 0.5:
        return f"{caption}\n{block}"
    if layout < 0.8:
        return f"{caption} {block}"
    return f"{caption}\n.\n.\n{block}" if layout < 0.93 else f"{caption}\n\n{block.replace(' #', '#')}"
