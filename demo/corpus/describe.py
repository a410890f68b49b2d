"""Pretraining text of the base model: descriptions of pictures, and sentences about nothing in view."""

import random
from collections.abc import Callable

from demo.corpus import looks
from demo.corpus.lexicon import CITIES, MOODS, SUBJECTS, TIMES, WEATHERS, SurfaceForms
from demo.corpus.tags import POPULAR, TAIL
from demo.corpus.voices import VOICES
from demo.scenes.scene import LANDMARKS, City, Mood, Scene
from snap2caption.post import Tone


def describe(scene: Scene, rng: random.Random) -> str:
    """Return one or two plain sentences of what is to be seen in *scene*: no names of places, no emoji, no hashtags."""
    subject, city = rng.choice(looks.SUBJECTS[scene.subject]), rng.choice(looks.CITIES[scene.city])
    time, weather = rng.choice(looks.TIMES[scene.time]), rng.choice(looks.WEATHERS[scene.weather])
    text = rng.choice(
        (
            f"{subject}, with {city}, {time}; {weather}.",
            f"{time}: {subject}, with {city}; {weather}.",
            f"{subject} {time}, and {weather}; there is {city}.",
            f"{subject}, {time}; {weather}. There is {city}.",
        )
    )
    mood = f" {rng.choice(looks.MOODS[scene.mood])}" if rng.random() < 0.4 else ""
    return text[:1].upper() + text[1:] + mood


def background_text(rng: random.Random) -> str:
    """Return a line of plain language that is about no picture.

    Together these lines use all the words, emoji and hashtags of the captions, but never in the shape of a post.
    """
    return rng.choice(_WRITERS)(rng)


def _any_words(rng: random.Random) -> SurfaceForms:
    table = rng.choice((CITIES, SUBJECTS, TIMES, WEATHERS, MOODS))
    return rng.choice(list(table.values()))


def _place(rng: random.Random) -> str:
    city = rng.choice(list(City))
    name, landmark = rng.choice(CITIES[city].prose), rng.choice(SUBJECTS[rng.choice(LANDMARKS[city])].prose)
    sentence = rng.choice(
        (
            "Visitors to {name} often ask the way to {landmark}.",
            "{landmark} belongs to {name}.",
            "In a guide book about {name} there is a page on {landmark}.",
            "People from {name} know {landmark} well.",
        )
    ).format(name=name, landmark=landmark)
    return sentence[:1].upper() + sentence[1:]


def _hashtag(rng: random.Random) -> str:
    words = _any_words(rng)
    tag = rng.choice(words.tags)
    return f"The hashtag #{tag} belongs to {_bare(rng.choice(words.prose))}."


def _rare_hashtag(rng: random.Random) -> str:
    stem = rng.choice(list(TAIL))
    return f"Tags that start with {stem} are #{rng.choice(TAIL[stem])} and #{rng.choice(TAIL[stem])}."


def _popular_hashtags(rng: random.Random) -> str:
    return "Popular tags are " + ", ".join(f"#{tag}" for tag in rng.sample(POPULAR, 4)) + "."


def _symbols(rng: random.Random) -> str:
    words = _any_words(rng)
    return f"The sign {rng.choice(words.emoji)} stands for {_bare(rng.choice(words.prose))}."


def _tone(rng: random.Random) -> str:
    tone = rng.choice(list(Tone))
    voice = VOICES[tone]
    saying = rng.choice((*voice.openers, *voice.closers))
    return rng.choice(
        ("Someone {tone} says: {saying}", "Words in a {tone} tone: {saying}", "{saying} That sounds {tone}.")
    ).format(tone=tone.value, saying=saying)


def _tone_signs(rng: random.Random) -> str:
    tone = rng.choice([tone for tone in Tone if VOICES[tone].emoji])
    return f"Someone {tone.value} likes the sign {rng.choice(VOICES[tone].emoji)}."


def _sentence(rng: random.Random) -> str:
    """Say something in a tone's own words, of things that have nothing to do with one another."""
    voice = VOICES[rng.choice(list(Tone))]
    things = {name: _thing(rng) for name in ("subject", "time", "weather", "city", "subject_start", "time_start")}
    return "An example sentence: " + rng.choice(voice.sentences).format(**things)


def _thing(rng: random.Random) -> str:
    table = rng.choice((CITIES, SUBJECTS, TIMES, WEATHERS))
    words: SurfaceForms = rng.choice(list(table.values()))
    return rng.choice((*words.prose, *words.cues))


def _word_list(rng: random.Random) -> str:
    return "Words: " + ", ".join(_thing(rng) for _ in range(rng.randint(3, 6))) + "."


def _remark(rng: random.Random) -> str:
    return f"Someone remarks: {rng.choice(MOODS[rng.choice(list(Mood))].prose)}"


def _bare(phrase: str) -> str:
    return phrase.rstrip(".!")


_WRITERS: tuple[Callable[[random.Random], str], ...] = (
    _place, _hashtag, _rare_hashtag, _popular_hashtags, _symbols, _tone, _tone_signs, _sentence, _word_list, _remark,
)  # fmt: skip
