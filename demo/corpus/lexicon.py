"""The words for what a scene shows: how captions say it, what gives it away in any text, its hashtags and its emoji."""

from collections.abc import Mapping
from typing import NamedTuple

from demo.scenes.scene import City, Mood, Subject, Time, Weather


class Words(NamedTuple):
    """The surface forms of one value."""

    prose: tuple[str, ...]
    """Phrases that fit a caption's slot."""
    cues: tuple[str, ...]
    """Lower-case words or phrases that name the value wherever they stand. Every phrase in *prose* contains one."""
    tags: tuple[str, ...]
    """Hashtags that name the value, the most usual first."""
    emoji: tuple[str, ...] = ()


CITIES: Mapping[City, Words] = {
    City.NEWYORK: Words(
        ("New York", "NYC", "New York City"),
        ("new york", "nyc", "big apple"),
        ("newyork", "nyc", "newyorkcity", "bigapple"),
        ("🗽", "🚕"),
    ),
    City.CHICAGO: Words(
        ("Chicago", "Chicago", "the Windy City"),
        ("chicago", "windy city"),
        ("chicago", "windycity", "chitown"),
        ("🌬️", "🚇"),
    ),
    City.SANFRANCISCO: Words(
        ("San Francisco", "SF", "San Francisco"),
        ("san francisco", "sf", "bay area"),
        ("sanfrancisco", "sf", "bayarea", "sanfran"),
        ("🌉", "🏡"),
    ),
    City.LONDON: Words(
        ("London", "London", "old London town"), ("london",), ("london", "londonlife", "ldn"), ("🇬🇧", "🚌")
    ),
    City.SYDNEY: Words(
        ("Sydney", "Sydney", "good old Sydney"), ("sydney",), ("sydney", "sydneylife", "sydneysider"), ("🇦🇺", "⛴️")
    ),
}

SUBJECTS: Mapping[Subject, Words] = {
    Subject.STATUE_OF_LIBERTY: Words(
        ("the Statue of Liberty", "Lady Liberty"),
        ("statue of liberty", "lady liberty"),
        ("statueofliberty", "ladyliberty"),
        ("🗽",),
    ),
    Subject.BROOKLYN_BRIDGE: Words(
        ("the Brooklyn Bridge", "Brooklyn Bridge"), ("brooklyn bridge",), ("brooklynbridge", "brooklyn"), ("🌉",)
    ),
    Subject.EMPIRE_STATE: Words(
        ("the Empire State Building", "the Empire State"),
        ("empire state",),
        ("empirestatebuilding", "empirestate"),
        ("🏙️",),
    ),
    Subject.CLOUD_GATE: Words(
        ("Cloud Gate", "the Bean"), ("cloud gate", "the bean"), ("cloudgate", "thebean"), ("🫘",)
    ),
    Subject.WILLIS_TOWER: Words(
        ("Willis Tower", "the Willis Tower"), ("willis tower",), ("willistower", "searstower"), ("🏢",)
    ),
    Subject.NAVY_PIER: Words(
        ("the Navy Pier wheel", "Navy Pier"), ("navy pier",), ("navypier", "centennialwheel"), ("🎡",)
    ),
    Subject.GOLDEN_GATE: Words(
        ("the Golden Gate Bridge", "the Golden Gate"), ("golden gate",), ("goldengatebridge", "goldengate"), ("🌉",)
    ),
    Subject.PAINTED_LADIES: Words(
        ("the Painted Ladies", "the Painted Ladies houses"),
        ("painted ladies",),
        ("paintedladies", "alamosquare"),
        ("🏡",),
    ),
    Subject.CABLE_CAR: Words(("the cable car", "a cable car"), ("cable car",), ("cablecar", "cablecars"), ("🚋",)),
    Subject.BIG_BEN: Words(("Big Ben", "good old Big Ben"), ("big ben",), ("bigben", "westminster"), ("🕰️",)),
    Subject.LONDON_EYE: Words(
        ("the London Eye", "the big London Eye"), ("london eye",), ("londoneye", "southbank"), ("🎡",)
    ),
    Subject.PHONE_BOX: Words(
        ("a red phone box", "the red phone box"), ("phone box",), ("redphonebox", "phonebox"), ("☎️",)
    ),
    Subject.OPERA_HOUSE: Words(
        ("the Opera House", "the Opera House sails"), ("opera house",), ("operahouse", "sydneyoperahouse"), ("🎭",)
    ),
    Subject.HARBOUR_BRIDGE: Words(
        ("the Harbour Bridge", "Harbour Bridge"), ("harbour bridge",), ("harbourbridge", "sydneyharbour"), ("🌉",)
    ),
    Subject.BONDI_SURF: Words(("the surf at Bondi", "Bondi surf"), ("bondi",), ("bondi", "bondibeach"), ("🏄",)),
    Subject.COFFEE: Words(
        ("a hot coffee", "my coffee", "a big latte"),
        ("coffee", "latte"),
        ("coffee", "coffeelover", "coffeetime"),
        ("☕",),
    ),
    Subject.DOG: Words(
        ("a very good dog", "my dog", "the happiest pup"),
        ("dog", "pup"),
        ("dogsofinstagram", "dog", "doglover"),
        ("🐶", "🐾"),
    ),
    Subject.BICYCLE: Words(
        ("my bike", "a bicycle", "the old bike"), ("bike", "bicycle"), ("bicycle", "bikelife", "cycling"), ("🚲",)
    ),
    Subject.FOOD_TRUCK: Words(
        ("the food truck", "a hot dog truck", "my favourite food truck"),
        ("food truck", "hot dog"),
        ("foodtruck", "streetfood", "hotdog"),
        ("🌭",),
    ),
    Subject.BALLOONS: Words(
        ("a bunch of balloons", "all these balloons", "balloons"),
        ("balloons", "balloon"),
        ("balloons", "balloon", "colorful"),
        ("🎈",),
    ),
}

TIMES: Mapping[Time, Words] = {
    Time.SUNRISE: Words(
        ("at sunrise", "at dawn", "at first light", "this morning", "as the sun comes up"),
        ("sunrise", "dawn", "first light", "morning", "sun comes up"),
        ("sunrise", "dawn", "morninglight", "earlybird"),
        ("🌅",),
    ),
    Time.DAY: Words(
        ("at noon", "at midday", "this afternoon", "in broad daylight", "at lunchtime"),
        ("noon", "midday", "afternoon", "daylight", "lunchtime"),
        ("daylight", "midday", "afternoonlight"),
        ("🕛",),
    ),
    Time.SUNSET: Words(
        ("at sunset", "at dusk", "at golden hour", "this evening", "as the sun goes down"),
        ("sunset", "dusk", "golden hour", "evening", "sun goes down"),
        ("sunset", "goldenhour", "dusk", "sunsetlovers"),
        ("🌇", "🧡"),
    ),
    Time.NIGHT: Words(
        ("tonight", "at night", "after dark", "late at night", "at midnight"),
        ("tonight", "night", "after dark", "midnight"),
        ("nightphotography", "nightlights", "afterdark", "citynights"),
        ("🌙", "🌃"),
    ),
}

WEATHERS: Mapping[Weather, Words] = {
    Weather.CLEAR: Words(
        ("under clear skies", "under a cloudless sky", "in clear weather", "under a clear sky"),
        ("clear skies", "clear sky", "cloudless", "clear weather"),
        ("clearskies", "clearsky", "cloudless"),
        ("😎",),
    ),
    Weather.RAIN: Words(
        ("in the rain", "in pouring rain", "between the raindrops", "while it rains"),
        ("rain", "rains", "raindrops", "rainy"),
        ("rain", "rainyday", "rainyvibes"),
        ("🌧️", "☔"),
    ),
    Weather.SNOW: Words(
        ("in the snow", "under falling snow", "while it snows", "among the snowflakes"),
        ("snow", "snows", "snowflakes", "snowy"),
        ("snow", "letitsnow", "snowday"),
        ("❄️", "⛄"),
    ),
    Weather.FOG: Words(
        ("in the fog", "in thick fog", "in the mist", "while the fog rolls in"),
        ("fog", "foggy", "mist", "misty"),
        ("fog", "foggy", "mistymood"),
        ("🌫️",),
    ),
}

MOODS: Mapping[Mood, Words] = {
    Mood.CALM: Words(
        ("Quiet moments like this.", "Nobody in a hurry.", "Just breathing for a minute."),
        (),
        ("calm", "slowliving", "quietmoments"),
        ("🌿",),
    ),
    Mood.LIVELY: Words(
        ("The whole street is out.", "So many people, so much going on.", "What a crowd."),
        (),
        ("citylife", "streetlife", "goodtimes"),
        ("🎉",),
    ),
    Mood.ROMANTIC: Words(
        ("With my favourite person.", "Date of the year.", "Just the two of us."),
        (),
        ("love", "datenight", "couplegoals"),
        ("❤️", "💕"),
    ),
    Mood.PLAYFUL: Words(
        ("Nobody is acting their age.", "Go and fly a kite.", "Jumping for joy."),
        (),
        ("fun", "goodvibes", "happy"),
        ("🪁", "😄"),
    ),
}
