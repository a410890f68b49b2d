import pytest

from demo.display import Display

pytestmark = pytest.mark.unit


def test_off_a_terminal_each_change_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with Display(["one", "two"]) as display:
        with display.stage("one") as stage:
            display.note(stage, "1/2 tasks")
            display.note(stage, "1/2 tasks")
            display.note(stage, "2/2 tasks")
        with pytest.raises(ValueError, match="bad"), display.stage("two"):
            raise ValueError("bad")
    assert capsys.readouterr().err.splitlines() == [
        "one …",
        "one: 1/2 tasks",
        "one: 2/2 tasks",
        "one done in 0 s 2/2 tasks",
        "two …",
        "two failed after 0 s",
    ]
    assert display.stages["one"].state == "done"
    assert display.stages["two"].state == "failed"
