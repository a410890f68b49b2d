"""Scene attributes: what a rendered picture can show.

The vocabulary is closed on purpose, so that what a model has learned can be measured value by value.
"""

import random
from dataclasses import dataclass
from enum import StrEnum


class City(StrEnum):
    """A city, spelled as its folder in the corpus."""

    NEWYORK = "newyork"
    CHICAGO = "chicago"
    SANFRANCISCO = "sanfrancisco"
    LONDON = "london"
    SYDNEY = "sydney"


class Subject(StrEnum):
    """What a picture is about: a landmark of one city, or something found in every city."""

    STATUE_OF_LIBERTY = "statue_of_liberty"
    BROOKLYN_BRIDGE = "brooklyn_bridge"
    EMPIRE_STATE = "empire_state"
    CLOUD_GATE = "cloud_gate"
    WILLIS_TOWER = "willis_tower"
    NAVY_PIER = "navy_pier"
    GOLDEN_GATE = "golden_gate"
    PAINTED_LADIES = "painted_ladies"
    CABLE_CAR = "cable_car"
    BIG_BEN = "big_ben"
    LONDON_EYE = "london_eye"
    PHONE_BOX = "phone_box"
    OPERA_HOUSE = "opera_house"
    HARBOUR_BRIDGE = "harbour_bridge"
    BONDI_SURF = "bondi_surf"
    COFFEE = "coffee"
    DOG = "dog"
    BICYCLE = "bicycle"
    FOOD_TRUCK = "food_truck"
    BALLOONS = "balloons"


class Time(StrEnum):
    """The time of day."""

    SUNRISE = "sunrise"
    DAY = "day"
    SUNSET = "sunset"
    NIGHT = "night"


class Weather(StrEnum):
    """The weather."""

    CLEAR = "clear"
    RAIN = "rain"
    SNOW = "snow"
    FOG = "fog"


class Mood(StrEnum):
    """What the people in the picture are up to, and how it is graded."""

    CALM = "calm"
    LIVELY = "lively"
    ROMANTIC = "romantic"
    PLAYFUL = "playful"


LANDMARKS: dict[City, tuple[Subject, ...]] = {
    City.NEWYORK: (Subject.STATUE_OF_LIBERTY, Subject.BROOKLYN_BRIDGE, Subject.EMPIRE_STATE),
    City.CHICAGO: (Subject.CLOUD_GATE, Subject.WILLIS_TOWER, Subject.NAVY_PIER),
    City.SANFRANCISCO: (Subject.GOLDEN_GATE, Subject.PAINTED_LADIES, Subject.CABLE_CAR),
    City.LONDON: (Subject.BIG_BEN, Subject.LONDON_EYE, Subject.PHONE_BOX),
    City.SYDNEY: (Subject.OPERA_HOUSE, Subject.HARBOUR_BRIDGE, Subject.BONDI_SURF),
}
"""The subjects that belong to one city only."""

COMMON: tuple[Subject, ...] = (Subject.COFFEE, Subject.DOG, Subject.BICYCLE, Subject.FOOD_TRUCK, Subject.BALLOONS)
"""The subjects that occur in every city."""

LANDMARK_SHARE = 0.6
"""The share of pictures that show a landmark."""

TIME_WEIGHTS = {Time.SUNRISE: 0.18, Time.DAY: 0.34, Time.SUNSET: 0.26, Time.NIGHT: 0.22}
WEATHER_WEIGHTS = {Weather.CLEAR: 0.40, Weather.RAIN: 0.24, Weather.SNOW: 0.18, Weather.FOG: 0.18}
MOOD_WEIGHTS = {Mood.CALM: 0.3, Mood.LIVELY: 0.3, Mood.ROMANTIC: 0.2, Mood.PLAYFUL: 0.2}


@dataclass(frozen=True, slots=True)
class Scene:
    """One thing to draw and to write about."""

    city: City
    subject: Subject
    time: Time
    weather: Weather
    mood: Mood


def sample_scene(rng: random.Random) -> Scene:
    """Draw a scene: cities alike, times and weathers as people post them (clear days and sunsets more than snow)."""
    city = rng.choice(list(City))
    subjects = LANDMARKS[city] if rng.random() < LANDMARK_SHARE else COMMON
    return Scene(
        city=city,
        subject=rng.choice(subjects),
        time=rng.choices(list(TIME_WEIGHTS), list(TIME_WEIGHTS.values()))[0],
        weather=rng.choices(list(WEATHER_WEIGHTS), list(WEATHER_WEIGHTS.values()))[0],
        mood=rng.choices(list(MOOD_WEIGHTS), list(MOOD_WEIGHTS.values()))[0],
    )
