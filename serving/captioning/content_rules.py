"""Content rules of the operator: banned hashtags, and moderation of photos."""

from dataclasses import dataclass

from serving.captioning.moderation import Moderator, load_moderator
from serving.settings import ServingSettings
from snap2caption.hashtags.banned import read_banned


@dataclass(frozen=True, slots=True)
class ContentRules:
    """The operator's content rules: banned hashtags, and moderation of photos."""

    banned: frozenset[str]
    moderator: Moderator | None

    @classmethod
    def read(cls, settings: ServingSettings) -> "ContentRules":
        """Load the rules that *settings* name.

        Raises:
            UserError: the banned hashtags can't be read, or the moderator can't be loaded.
        """
        return cls(read_banned(settings.banned_hashtags), load_moderator(settings.moderation, settings.nsfw_max_score))
