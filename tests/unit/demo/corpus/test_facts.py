import pytest

from demo.corpus.facts import facts_in, named
from demo.scenes.scene import City, Mood, Scene, Subject, Time, Weather

pytestmark = pytest.mark.unit

SCENE = Scene(City.CHICAGO, Subject.DOG, Time.NIGHT, Weather.RAIN, Mood.CALM)


def test_facts_come_from_prose_and_hashtags():
    facts = facts_in("A very good dog tonight. #windycity #rainyday")
    assert facts.subject == {Subject.DOG}
    assert facts.time == {Time.NIGHT}
    assert facts.city == {City.CHICAGO}
    assert facts.weather == {Weather.RAIN}


def test_a_hot_dog_is_no_dog():
    assert facts_in("a hot dog truck").subject == {Subject.FOOD_TRUCK}


def test_words_inside_other_words_do_not_count():
    facts = facts_in("Training the brain for Sunday")
    assert not any(facts)


def test_a_second_value_of_a_kind_spoils_it():
    assert named(SCENE, "my dog in Chicago tonight in the rain") == {
        "city": True,
        "subject": True,
        "time": True,
        "weather": True,
    }
    assert named(SCENE, "my dog in Chicago tonight in the rain #snow #london") == {
        "city": False,
        "subject": True,
        "time": True,
        "weather": False,
    }
    assert not any(named(SCENE, "nothing to see here").values())
