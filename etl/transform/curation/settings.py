"""Curation settings: one section per step, read from a YAML file. A step without a section does not run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import AfterValidator, Field, model_validator

from snap2caption.errors import UserError
from snap2caption.formats import strict_yaml
from snap2caption.names import BaseName
from snap2caption.settings_sections import SettingsSection, check_settings
from snap2caption.text.language import find_language

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Names = Annotated[tuple[str, ...], Field(strict=False)]
"""YAML has lists, not tuples."""


def _languages(names: Sequence[str]) -> tuple[str, ...]:
    found = [(name, find_language(name)) for name in names]
    unknown = next((name for name, tag in found if tag is None), None)
    if unknown is not None:
        raise ValueError(f"should be languages such as en or German; {unknown} is none")
    return tuple(sorted({tag for _, tag in found if tag}))


Languages = Annotated[Names, AfterValidator(_languages)]


class LengthSettings(SettingsSection):
    """Words of a caption, without its hashtags."""

    min_words: Count = 0
    max_words: Positive | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.max_words is not None and self.max_words < self.min_words:
            raise ValueError("max_words is less than min_words")
        return self


class HashtagShareSettings(SettingsSection):
    """Share of hashtags among a post's words and hashtags."""

    max_share: Share


class RepetitionSettings(SettingsSection):
    """Share of a caption's runs of ``run`` words that occur more than once.

    Source: Rae et al., "Scaling language models: methods, analysis & insights from training Gopher", 2021, table A1.
    """

    max_share: Share
    run: Positive = 2


class ContactSettings(SettingsSection):
    """E-mail addresses and phone numbers: they are removed from the caption, or the pair is dropped.

    ``region`` is the country of numbers that are written without a country's code.
    """

    action: Literal["remove", "drop"] = "remove"
    region: Annotated[str, Field(pattern="^[A-Z]{2}$")] = "US"


class LanguageSettings(SettingsSection):
    """Languages of captions to keep.

    ``min_ratio`` is the least probability of the likeliest of them, relative to the likeliest language of all.
    Captions of fewer than three words are kept, as their language can't be told.
    """

    keep: Annotated[Languages, Field(min_length=1)]
    min_ratio: Share = 0.1


class ProfanitySettings(SettingsSection):
    """Profanity and slurs in the caption or its hashtags, by the word lists of English and of ``languages``."""

    languages: Languages = ()


class SizeSettings(SettingsSection):
    """Pixels of the shorter side, and ratio of the longer side to the shorter one."""

    min_side: Positive = 64
    max_aspect: Annotated[float, Field(ge=1)] = 5.0


class BlurSettings(SettingsSection):
    """Sharpness: the variance of the Laplacian of the gray picture, whose shorter side is scaled to 256 pixels or
    a little more. A smaller picture is measured as it is.

    Source: Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy: a comparative study", 2000.
    """

    min_variance: Annotated[float, Field(ge=0)]


class FaceSettings(SettingsSection):
    """Number of frontal faces, by OpenCV's Haar cascade, which is part of its package (extra ``faces``)."""

    min_faces: Count = 0
    max_faces: Count | None = None


class NsfwSettings(SettingsSection):
    """Probability that the picture is not safe for work, by Yahoo's open_nsfw (extra ``nsfw``)."""

    max_score: Share


class TemplateSettings(SettingsSection):
    """Captions that differ in nothing but numbers, case and punctuation: how many of them are kept."""

    max_posts: Positive


class NearDuplicateSettings(SettingsSection):
    """Pictures that are mirrored, turned, cropped or re-encoded copies of another: one of them is kept.

    ``max_distance`` is the number of the perceptual hash's 256 bits by which copies may differ.
    """

    max_distance: Annotated[int, Field(ge=0, le=48)] = 48


class SemanticDuplicateSettings(SettingsSection):
    """Pictures that show the same, such as one view from two places: one of them is kept.

    ``model`` is a folder of the models folder with an image embedding model in transformers' format, and
    ``min_similarity`` the cosine of two embeddings from which pictures count as the same, which is estimated with an
    error of some 0.03. ``revision`` is the digest of its weights; the transform fills it in.
    """

    model: BaseName
    min_similarity: Annotated[float, Field(ge=0.85, le=1)] = 0.95
    revision: str | None = None


class ResizeSettings(SettingsSection):
    """Pictures that are larger than ``max_side`` on their longer side are scaled down, and all are written as JPEG."""

    max_side: Annotated[int, Field(ge=64)]
    quality: Annotated[int, Field(ge=1, le=95)] = 90


class CurationSettings(SettingsSection):
    """Every step that runs. The fields are in the order in which the steps run, the cheapest first."""

    length: LengthSettings | None = None
    hashtag_share: HashtagShareSettings | None = None
    repetition: RepetitionSettings | None = None
    contacts: ContactSettings | None = None
    language: LanguageSettings | None = None
    profanity: ProfanitySettings | None = None
    size: SizeSettings | None = None
    blur: BlurSettings | None = None
    faces: FaceSettings | None = None
    nsfw: NsfwSettings | None = None
    templates: TemplateSettings | None = None
    near_duplicates: NearDuplicateSettings | None = None
    semantic_duplicates: SemanticDuplicateSettings | None = None
    resize: ResizeSettings | None = None

    def steps(self) -> tuple[str, ...]:
        """Return the names of the steps that run."""
        return tuple(name for name in type(self).model_fields if getattr(self, name) is not None)


def load_curation(path: Path) -> CurationSettings:
    """Read the settings at *path*.

    Raises:
        UserError: the file is missing or not YAML, or a setting is unknown or has an invalid value.
    """
    try:
        content = strict_yaml.load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"No curation settings at {path} ({error.strerror}); see configs/curation/ for an example."
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid YAML ({' '.join(str(error).split())}); correct it.") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} names no step; it must hold sections such as `length:` and `blur:`.")
    found = check_settings(CurationSettings, content, str(path))
    if not found.steps():
        raise UserError(f"{path} names no step; give one of {', '.join(CurationSettings.model_fields)} some settings.")
    return found
