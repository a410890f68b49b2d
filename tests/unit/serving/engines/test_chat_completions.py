"""Chunks of a stream, as servers vary them."""

import pytest

from serving.engines.chat_completions import StreamedText

pytestmark = pytest.mark.unit


def test_the_logarithm_of_zero_is_null() -> None:
    text = StreamedText()
    for logprob in (0.0, None):
        text.append({"choices": [{"delta": {"content": "a"}, "logprobs": {"content": [{"logprob": logprob}]}}]})
    assert text.text == "aa"
    assert text.probabilities == [1.0, 0.0]


def test_text_may_come_in_parts() -> None:
    text = StreamedText()
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
    text.append({"choices": [{"delta": {"content": [thinking]}}]})
    assert (text.text, text.reasoned) == ("", True)
    text.append({"choices": [{"delta": {"content": [{"type": "text", "text": "Golden"}]}}]})
    text.append({"choices": [{"delta": {"content": " hour."}}]})
    assert text.text == "Golden hour."
