"""Caption answer of a post: its variants, alt texts and notices."""

from collections.abc import Mapping, Sequence

from serving.captioning.attempts import JudgedDraft, violation_notices
from serving.captioning.notices import Degradation, find_notices
from serving.captioning.post_processing import alt_text
from serving.engines.base import GenerationResult
from serving.http.schemas import CaptionAnswer, Options, Timing, Variant
from snap2caption.post import Request


def build_answer(
    chosen: Sequence[JudgedDraft],
    variants: list[Variant],
    options: Options,
    request: Request,
    *,
    usable: bool,
    has_corpus: bool,
    has_voices: bool,
    request_id: str,
    timing: Mapping[str, float],
) -> CaptionAnswer:
    """Return the answer with *variants*, which were composed of the drafts *chosen*, best first.

    Args:
        chosen: the drafts.
        variants: their captions and hashtags.
        options: the creator's options.
        request: the request to the model, with the creator's voice.
        usable: whether the model generated a caption that is safe to publish.
        has_corpus: whether hashtags of a corpus were available.
        has_voices: whether the creator's saved captions could be read.
        request_id: the id of the request.
        timing: seconds of each stage.
    """
    results = chosen[0].results
    served, generated = results[0].served, [result.generated for result in results]
    descriptions = [alt_text(result.description, variants, options) for result in generated]
    unfamiliar = count_unfamiliar(generated)
    occurred = {
        Degradation.UNFAMILIAR_PHOTO: unfamiliar and len(generated) == 1,
        Degradation.UNFAMILIAR_PHOTOS: unfamiliar and len(generated) > 1,
        # For a model that was not trained with voices, another notice says that only the tone is followed.
        Degradation.VOICE_SHORTENED: any(result.voice_shortened for result in generated) and served.follows("voice"),
        Degradation.VOICE_UNAVAILABLE: not has_voices,
    }
    return CaptionAnswer(
        **variants[0].model_dump(),
        alt_text=descriptions[0],
        alt_texts=descriptions,
        variants=variants,
        notices=find_notices(
            options,
            request,
            served,
            variants,
            descriptions,
            usable=usable,
            has_corpus=has_corpus,
            violations=violation_notices(chosen),
            degradations=[degradation for degradation, is_met in occurred.items() if is_met],
        ),
        request_id=request_id,
        model_version=served.engine.version,
        confidence=next(iter(generated[0].confidences), None),
        timing=Timing(**{stage: round(1000 * seconds, 1) for stage, seconds in timing.items()}),
    )


def count_unfamiliar(generated: Sequence[GenerationResult]) -> int:
    """Return how many photos are unlike the pictures that the model was trained with."""
    return sum((result.unfamiliarity or 0) > 1 for result in generated)
