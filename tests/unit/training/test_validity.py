import pytest

from snap2caption.post import Request, Tone, build_prompt
from training.validity import Fault, find_faults

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
        (f"{'long ' * 440}\n{TAGS}", [Fault.TOO_LONG]),
        (TAGS, [Fault.NO_CAPTION]),
        ("", [Fault.NO_CAPTION, Fault.NO_HASHTAG_LINE]),
        ("Fog.", [Fault.NO_HASHTAG_LINE]),
        (f"Fog. {TAGS}", [Fault.NO_HASHTAG_LINE]),
        (f"{TAGS}\nFog.", [Fault.NO_HASHTAG_LINE]),
        ("Fog.\n#chicago #fog #dawn #bridge #1", [Fault.NO_HASHTAG_LINE]),
        (f"Fog.\n{TAGS.replace(' ', '')}", [Fault.NO_HASHTAG_LINE]),
        ("Fog.\n#chicago #fog #dawn #bridge", [Fault.FEW_HASHTAGS]),
        ("Fog.\n#chicago #fog #dawn #bridge #Fog", [Fault.FEW_HASHTAGS, Fault.REPEATED_HASHTAG]),
        (f"Fog.\n{TAGS} #fog", [Fault.REPEATED_HASHTAG]),
        ("Fog.\n" + " ".join(f"#tag{number}" for number in range(31)), [Fault.MANY_HASHTAGS]),
        (f"Write an  instagram caption and hashtags for this photo.\n{TAGS}", [Fault.PROMPT_ECHO]),
        (f"Fog. 😜\ufffd\n{TAGS}", [Fault.INCOMPLETE_CHARACTER]),
        (f"Tone: Witty. Fog.\n{TAGS}", [Fault.PROMPT_ECHO]),
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
    assert find_faults(f"Fog {token} over the bridge.\n{TAGS}", PROMPT) == (Fault.SPECIAL_TOKEN,)


def test_the_limits_themselves_are_valid():
    length = 2200 - len(TAGS) - 1
    assert find_faults(f"{'x' * length}\n{TAGS}", PROMPT) == ()
    assert find_faults(f"{'x' * (length + 1)}\n{TAGS}", PROMPT) == (Fault.TOO_LONG,)
    assert find_faults("Fog.\n" + " ".join(f"#tag{number}" for number in range(30)), PROMPT) == ()
