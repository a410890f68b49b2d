"""A tone is the same everywhere: in the API, for annotators, in the demo and in the docs."""

import re
import xml.etree.ElementTree as ET

import pytest

from demo.corpus.voices import VOICES
from etl.feedback.label_studio.project import LABELING
from snap2caption.post import Tone
from snap2caption.settings import ROOT

pytestmark = pytest.mark.unit

TONES = [tone.value for tone in Tone]


def test_annotators_choose_among_all_tones_by_keys_of_their_own() -> None:
    [choices] = [group for group in ET.parse(LABELING).iter("Choices") if group.get("name") == "tone"]  # noqa: S314 - our own file
    assert sorted(choice.attrib["value"] for choice in choices) == sorted(TONES)
    hotkeys = [element.attrib["hotkey"] for element in ET.parse(LABELING).iter() if "hotkey" in element.attrib]  # noqa: S314
    assert len(set(hotkeys)) == len(hotkeys)


def test_the_demo_writes_in_all_tones() -> None:
    assert set(VOICES) == set(Tone)


def test_the_docs_explain_all_tones() -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    [values] = re.findall(r"^\| `tone` \| (.*?) \(", page, re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", values)) == sorted(TONES)
    table = page[page.index("## Tones") :].partition("\n## ")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == sorted(TONES)
