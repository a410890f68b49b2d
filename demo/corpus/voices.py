"""Tones of voice: their openers, sentences, closers and emoji.

Sentences have the slots {subject}, {time}, {weather} and, mostly, {city}.
"""

from typing import NamedTuple

from snap2caption.post import Tone


class TonePhrases(NamedTuple):
    """What a tone's captions are put together from."""

    openers: tuple[str, ...]
    sentences: tuple[str, ...]
    closers: tuple[str, ...]
    emoji: tuple[str, ...]
    """The tone's own emoji; none at all means that it never uses any."""


VOICES: dict[Tone, TonePhrases] = {
    Tone.PLAYFUL: TonePhrases(
        openers=("Guess who!", "Yesss!", "Look at this!", "Wheee!", "Okay, wow!", "Stop scrolling!"),
        sentences=(
            "I found {subject} in {city} {time}, {weather}, and I can't stop smiling!",
            "{subject} {time} {weather}? Yes please, {city}!",
            "{city}, you and {subject} made my week {time}, even {weather}!",
            "Dancing around {subject} {time} {weather}, because {city} said so!",
            "Me + {subject} + {city} = pure happiness {time} {weather}!",
            "Who else wants {subject} {time} {weather}? Raise your hand, {city}!",
        ),
        closers=(
            "Tag a friend who needs this!",
            "Who's coming with me?",
            "Again, again!",
            "High five!",
            "Can we stay forever?",
        ),
        emoji=("😍", "🎉", "🥳", "🤩", "💃", "🙌"),
    ),
    Tone.INSPIRATIONAL: TonePhrases(
        openers=(
            "Believe in the small moments.",
            "Keep going.",
            "Dream a little bigger.",
            "Breathe it in.",
            "Start where you are.",
        ),
        sentences=(
            "Seeing {subject} {time} {weather} reminds me that {city} always gives you a new beginning.",
            "{city} taught me this: stand before {subject} {time}, {weather}, and let your heart grow.",
            "There is magic in {subject} {time}, {weather}, if you dare to look.",
            "{time_start}, {weather}, {subject} shows us what {city} is made of: hope.",
            "Every journey has its {city}: mine is {subject} {time}, {weather}.",
        ),
        closers=(
            "Follow your light.",
            "Be grateful for today.",
            "Your story is only beginning.",
            "Never stop exploring.",
            "Choose wonder.",
        ),
        emoji=("✨", "✨", "💫", "🙏"),
    ),
    # So few words that the hashtags must say the rest.
    Tone.MINIMAL: TonePhrases(
        openers=(),
        sentences=(
            "{subject}, {time}, {weather}",
            "{time}. {weather}. {subject}",
            "{subject} / {time} / {weather}",
            "{weather}, {time}: {subject}",
            "{subject}. {weather}, {time}",
            "{time} + {weather} + {subject}",
        ),
        closers=("enough.", "simple.", "more.", "still.", "finally."),
        emoji=("🤍", "🖤"),
    ),
    Tone.PROFESSIONAL: TonePhrases(
        openers=(
            "A note from our latest shoot.",
            "From this week's series.",
            "Field report.",
            "New in the portfolio.",
            "A study in light.",
        ),
        sentences=(
            "We photographed {subject} in {city} {time}, {weather}, to show how light shapes a place.",
            "This frame presents {subject} {time} {weather} and is part of our {city} collection.",
            "{city} offers remarkable conditions {time}; here, {subject} was captured {weather}.",
            "Our team spent an hour with {subject} {time}, {weather}, for a {city} assignment.",
            "{subject_start} was recorded {time} {weather}, as part of a visual guide to {city}.",
        ),
        closers=(
            "Prints are available on request.",
            "We welcome your feedback.",
            "Please contact us for licensing.",
            "The full series follows soon.",
            "Thank you for your support.",
        ),
        emoji=(),
    ),
    Tone.WITTY: TonePhrases(
        openers=("Plot twist:", "Spoiler:", "Breaking news:", "Note to self:", "In my defence:"),
        sentences=(
            "apparently {subject} {time} {weather} has a better social life than I do.",
            "I came to {city} for the rent and stayed for {subject} {time} {weather}. Technically broke, but well lit.",
            "{subject} in {city} {time}, {weather}: proof that some things outlast my phone battery.",
            "told my boss I was ill, then met {subject} {time} {weather}. Awkward, {city}.",
            "relationship status: {subject} in {city} {time} {weather}.",
            "{subject} {time} {weather} is officially my whole personality now.",
        ),
        closers=("You're welcome.", "I'll see myself out.", "No refunds.", "Asking for a friend.", "Send snacks."),
        emoji=("😏", "🙃", "🤷", "😅"),
    ),
}
