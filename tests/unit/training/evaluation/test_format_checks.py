import pytest

from snap2caption.post import Request, Tone, build_prompt
from training.evaluation.format_checks import FormatViolation, find_faults

pytestmark = pytest.mark.unit

PROMPT = build_prompt(Request(tone=Tone.WITTY))
TAGS = "#chicago #fog #dawn #bridge #citylife"
VALID = f"Golden fog over the bridge, worth the alarm. 🌉\n{TAGS}"


def test_a_post_as_instagram_takes_it_has_no_fault():
    assert find_faults(VALID, PROMPT) == ()
    # Several lines, hashtags of any script, an inline one, a heart that is no token.
    assert find_faults(f"Good #morning\n\nfrom up here <3\n{TAGS} #天空 #улица", PROMPT) == ()


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("x" * 2201 + f"\n{TAGS}", [FormatViolation.TOO_LONG, FormatViolation.NO_HASHTAG]),
        ("x" * 2195 + f"\n{TAGS}", [FormatViolation.NO_HASHTAG]),
        (TAGS, [FormatViolation.NO_CAPTION]),
        ("", [FormatViolation.NO_CAPTION, FormatViolation.NO_HASHTAG]),
        ("Fog.", [FormatViolation.NO_HASHTAG]),
        ("Fog.\n#1 #2", [FormatViolation.NO_HASHTAG, FormatViolation.BROKEN_HASHTAGS]),
        ("Fog.\n#chicago #fog #dawn #bridge #1", [FormatViolation.BROKEN_HASHTAGS]),
        ("Fog.\n#chicago and more", [FormatViolation.BROKEN_HASHTAGS]),
        (f"Write an  instagram caption and hashtags for this photo.\n{TAGS}", [FormatViolation.PROMPT_ECHO]),
        (f"Fog. 😜\ufffd\n{TAGS}", [FormatViolation.INCOMPLETE_CHARACTER]),
        (f"Tone: Witty. Fog.\n{TAGS}", [FormatViolation.PROMPT_ECHO]),
    ],
)
def test_what_is_wrong_is_named(text, faults):
    assert list(find_faults(text, PROMPT)) == faults


@pytest.mark.parametrize(
    "token",
    ["</s>", "<s>", "<unk>", "<pad>", "<image>", "<end_of_utterance>", "<|im_end|>", "<row_1_col_2>", "<global-img>",
     "<fake_token_around_image>", "[INST]", "[/INST]", "<<SYS>>", "ASSISTANT:", "USER:", "\nAssistant:"],
)  # fmt: skip
def test_what_is_left_of_a_chat_template_is_found(token):
    assert find_faults(f"Fog {token} over the bridge.\n{TAGS}", PROMPT) == (FormatViolation.SPECIAL_TOKEN,)


@pytest.mark.parametrize(
    "text",
    [
        "Fog.\n#chicago",
        f"Fog. {TAGS}",
        f"{TAGS}\nFog.",
        f"Fog.\n{TAGS} #fog",
        f"Fog.\n{TAGS.replace(' ', '')}",
        "Fog.\n" + " ".join(f"#tag{number}" for number in range(31)),
        "x" * 2190 + f"\n{TAGS}",
        "We are #1 here.\n#chicago",
    ],
)
def test_what_is_pasted_is_judged_not_how_it_was_written(text):
    assert find_faults(text, PROMPT) == ()
