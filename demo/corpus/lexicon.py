"""Lexicon of scenes: how captions name a thing, which words reveal it, its hashtags and its emoji."""

from collections.abc import Mapping
from typing import NamedTuple

from demo.scenes.scene import City, Mood, Subject, Time, Weather


class SurfaceForms(NamedTuple):
    """The surface forms of one value."""

    prose: tuple[str, ...]
    """Phrases that fit a caption's slot."""
    cues: tuple[str, ...]
    """Lower-case words or phrases that name the value wherever they stand. Every phrase in *prose* contains one."""
    tags: tuple[str, ...]
    """Hashtags that name the value, the most usual first."""
    emoji: tuple[str, ...] = ()


CITIES: Mapping[City, SurfaceForms] = {
    City.NEWYORK: SurfaceForms(
        ("New York", "NYC", "New York City"),
        ("new york", "nyc", "big apple"),
        ("newyork", "nyc", "newyorkcity", "bigapple"),
        ("🗽", "🚕"),
    ),
    City.CHICAGO: SurfaceForms(
        ("Chicago", "Chicago", "the Windy City"),
        ("chicago", "windy city"),
        ("chicago", "windycity", "chitown"),
        ("🌬️", "🚇"),
    ),
    City.SANFRANCISCO: SurfaceForms(
        ("San Francisco", "SF", "San Francisco"),
        ("san francisco", "sf", "bay area"),
        ("sanfrancisco", "sf", "bayarea", "sanfran"),
        ("🌉", "🏡"),
    ),
    City.LONDON: SurfaceForms(
        ("London", "London", "old London town"), ("london",), ("london", "londonlife", "ldn"), ("🇬🇧", "🚌")
    ),
    City.SYDNEY: SurfaceForms(
        ("Sydney", "Sydney", "good old Sydney"), ("sydney",), ("sydney", "sydneylife", "sydneysider"), ("🇦🇺", "⛴️")
    ),
}

SUBJECTS: Mapping[Subject, SurfaceForms] = {
    Subject.STATUE_OF_LIBERTY: SurfaceForms(
        ("the Statue of Liberty", "Lady Liberty"),
        ("statue of liberty", "lady liberty"),
        ("statueofliberty", "ladyliberty"),
        ("🗽",),
    ),
    Subject.BROOKLYN_BRIDGE: SurfaceForms(
        ("the Brooklyn Bridge", "Brooklyn Bridge"), ("brooklyn bridge",), ("brooklynbridge", "brooklyn"), ("🌉",)
    ),
    Subject.EMPIRE_STATE: SurfaceForms(
        ("the Empire State Building", "the Empire State"),
        ("empire state",),
        ("empirestatebuilding", "empirestate"),
        ("🏙️",),
    ),
    Subject.CLOUD_GATE: SurfaceForms(
        ("Cloud Gate", "the Bean"), ("cloud gate", "the bean"), ("cloudgate", "thebean"), ("🫘",)
    ),
    Subject.WILLIS_TOWER: SurfaceForms(
        ("Willis Tower", "the Willis Tower"), ("willis tower",), ("willistower", "searstower"), ("🏢",)
    ),
    Subject.NAVY_PIER: SurfaceForms(
        ("the Navy Pier wheel", "Navy Pier"), ("navy pier",), ("navypier", "centennialwheel"), ("🎡",)
    ),
    Subject.GOLDEN_GATE: SurfaceForms(
        ("the Golden Gate Bridge", "the Golden Gate"), ("golden gate",), ("goldengatebridge", "goldengate"), ("🌉",)
    ),
    Subject.PAINTED_LADIES: SurfaceForms(
        ("the Painted Ladies", "the Painted Ladies houses"),
        ("painted ladies",),
        ("paintedladies", "alamosquare"),
        ("🏡",),
    ),
    Subject.CABLE_CAR: SurfaceForms(
        ("the cable car", "a cable car"), ("cable car",), ("cablecar", "cablecars"), ("🚋",)
    ),
    Subject.BIG_BEN: SurfaceForms(("Big Ben", "good old Big Ben"), ("big ben",), ("bigben", "westminster"), ("🕰️",)),
    Subject.LONDON_EYE: SurfaceForms(
        ("the London Eye", "the big London Eye"), ("london eye",), ("londoneye", "southbank"), ("🎡",)
    ),
    Subject.PHONE_BOX: SurfaceForms(
        ("a red phone box", "the red phone box"), ("phone box",), ("redphonebox", "phonebox"), ("☎️",)
    ),
    Subject.OPERA_HOUSE: SurfaceForms(
        ("the Opera House", "the Opera House sails"), ("opera house",), ("operahouse", "sydneyoperahouse"), ("🎭",)
    ),
    Subject.HARBOUR_BRIDGE: SurfaceForms(
        ("the Harbour Bridge", "Harbour Bridge"), ("harbour bridge",), ("harbourbridge", "sydneyharbour"), ("🌉",)
    ),
    Subject.BONDI_SURF: SurfaceForms(("the surf at Bondi", "Bondi surf"), ("bondi",), ("bondi", "bondibeach"), ("🏄",)),
    Subject.COFFEE: SurfaceForms(
        ("a hot coffee", "my coffee", "a big latte"),
        ("coffee", "latte"),
        ("coffee", "coffeelover", "coffeetime"),
        ("☕",),
    ),
    Subject.DOG: SurfaceForms(
        ("a very good dog", "my dog", "the happiest pup"),
        ("dog", "pup"),
        ("dogsofinstagram", "dog", "doglover"),
        ("🐶", "🐾"),
    ),
    Subject.BICYCLE: SurfaceForms(
        ("my bike", "a bicycle", "the old bike"), ("bike", "bicycle"), ("bicycle", "bikelife", "cycling"), ("🚲",)
    ),
    Subject.FOOD_TRUCK: SurfaceForms(
        ("the food truck", "a hot dog truck", "my favourite food truck"),
        ("food truck", "hot dog"),
        ("foodtruck", "streetfood", "hotdog"),
        ("🌭",),
    ),
    Subject.BALLOONS: SurfaceForms(
        ("a bunch of balloons", "all these balloons", "balloons"),
        ("balloons", "balloon"),
        ("balloons", "balloon", "colorful"),
        ("🎈",),
    ),
}

TIMES: Mapping[Time, SurfaceForms] = {
    Time.SUNRISE: SurfaceForms(
        ("at sunrise", "at dawn", "at first light", "this morning", "as the sun comes up"),
        ("sunrise", "dawn", "first light", "morning", "sun comes up"),
        ("sunrise", "dawn", "morninglight", "earlybird"),
        ("🌅",),
    ),
    Time.DAY: SurfaceForms(
        ("at noon", "at midday", "this afternoon", "in broad daylight", "at lunchtime"),
        ("noon", "midday", "afternoon", "daylight", "lunchtime"),
        ("daylight", "midday", "afternoonlight"),
        ("🕛",),
    ),
    Time.SUNSET: SurfaceForms(
        ("at sunset", "at dusk", "at golden hour", "this evening", "as the sun goes down"),
        ("sunset", "dusk", "golden hour", "evening", "sun goes down"),
        ("sunset", "goldenhour", "dusk", "sunsetlovers"),
        ("🌇", "🧡"),
    ),
    Time.NIGHT: SurfaceForms(
        ("tonight", "at night", "after dark", "late at night", "at midnight"),
        ("tonight", "night", "after dark", "midnight"),
        ("nightphotography", "nightlights", "afterdark", "citynights"),
        ("🌙", "🌃"),
    ),
}

WEATHERS: Mapping[Weather, SurfaceForms] = {
    Weather.CLEAR: SurfaceForms(
        ("under clear skies", "under a cloudless sky", "in clear weather", "under a clear sky"),
        ("clear skies", "clear sky", "cloudless", "clear weather"),
        ("clearskies", "clearsky", "cloudless"),
        ("😎",),
    ),
    Weather.RAIN: SurfaceForms(
        ("in the rain", "in pouring rain", "between the raindrops", "while it rains"),
        ("rain", "rains", "raindrops", "rainy"),
        ("rain", "rainyday", "rainyvibes"),
        ("🌧️", "☔"),
    ),
    Weather.SNOW: SurfaceForms(
        ("in the snow", "under falling snow", "while it snows", "among the snowflakes"),
        ("snow", "snows", "snowflakes", "snowy"),
        ("snow", "letitsnow", "snowday"),
        ("❄️", "⛄"),
    ),
    Weather.FOG: SurfaceForms(
        ("in the fog", "in thick fog", "in the mist", "while the fog rolls in"),
        ("fog", "foggy", "mist", "misty"),
        ("fog", "foggy", "mistymood"),
        ("🌫️",),
    ),
}

MOODS: Mapping[Mood, SurfaceForms] = {
    Mood.CALM: SurfaceForms(
        ("Quiet moments like this.", "Nobody in a hurry.", "Just breathing for a minute."),
        (),
        ("calm", "slowliving", "quietmoments"),
        ("🌿",),
    ),
    Mood.LIVELY: SurfaceForms(
        ("The whole street is out.", "So many people, so much going on.", "What a crowd."),
        (),
        ("citylife", "streetlife", "goodtimes"),
        ("🎉",),
    ),
    Mood.ROMANTIC: SurfaceForms(
        ("With my favourite person.", "Date of the year.", "Just the two of us."),
        (),
        ("love", "datenight", "couplegoals"),
        ("❤️", "💕"),
    ),
    Mood.PLAYFUL: SurfaceForms(
        ("Nobody is acting their age.", "Go and fly a kite.", "Jumping for joy."),
        (),
        ("fun", "goodvibes", "happy"),
        ("🪁", "😄"),
    ),
}
