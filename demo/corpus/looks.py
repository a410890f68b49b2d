"""Descriptions of scenes that name no place, for a reader who does not know the city or its landmark."""

from collections.abc import Mapping

from demo.scenes.scene import City, Mood, Subject, Time, Weather

SUBJECTS: Mapping[Subject, tuple[str, ...]] = {
    Subject.STATUE_OF_LIBERTY: (
        "a green statue of a woman holding up a torch",
        "a tall green statue with a crown and a raised torch",
    ),
    Subject.BROOKLYN_BRIDGE: (
        "a bridge with stone towers and pointed arches",
        "a stone bridge tower with two pointed arches and many cables",
    ),
    Subject.EMPIRE_STATE: (
        "a pale stepped skyscraper with a needle on top",
        "a light stone tower that narrows in steps to a needle",
    ),
    Subject.CLOUD_GATE: ("a shiny silver sculpture like a giant drop of metal", "a big curved mirror of silver metal"),
    Subject.WILLIS_TOWER: (
        "a black stepped skyscraper with two white antennas",
        "a huge black tower with a pair of white antennas",
    ),
    Subject.NAVY_PIER: (
        "a ferris wheel with colourful cabins",
        "a big wheel with red, blue and yellow cabins",
    ),
    Subject.GOLDEN_GATE: (
        "a long red suspension bridge over water",
        "a red bridge with two tall red towers and curved cables",
    ),
    Subject.PAINTED_LADIES: (
        "a row of large pastel wooden houses above a lawn",
        "pointed wooden houses in pastel colours, side by side behind grass",
    ),
    Subject.CABLE_CAR: (
        "an old tram with an open end",
        "a dark red and cream tram with open sides",
    ),
    Subject.BIG_BEN: (
        "a tall sandstone clock tower with a dark pointed roof",
        "a clock tower with a big round white face",
    ),
    Subject.LONDON_EYE: (
        "a huge thin white wheel with glass capsules",
        "a giant white observation wheel beside a river",
    ),
    Subject.PHONE_BOX: (
        "a tall red telephone cabin with many small windows",
        "a red booth with a round roof and small glass panes",
    ),
    Subject.OPERA_HOUSE: (
        "a building with white roofs like sails by the water",
        "large white shells rising over a brown base",
    ),
    Subject.HARBOUR_BRIDGE: (
        "a wide grey steel arch bridge with stone pillars",
        "a great arch of grey steel over the water",
    ),
    Subject.BONDI_SURF: (
        "a person riding a board on a big turquoise wave",
        "a surfer on a high wave in front of a sandy beach",
    ),
    Subject.COFFEE: ("a large paper cup with a lid and steam", "a steaming cup of coffee on a wooden table"),
    Subject.DOG: ("a brown dog that sits and shows its tongue", "a friendly sitting dog with a collar"),
    Subject.BICYCLE: ("a bicycle with a basket of flowers", "a bike with two large wheels and flowers in front"),
    Subject.FOOD_TRUCK: (
        "a food van with a big sausage on its roof",
        "a hot dog van with a striped awning",
    ),
    Subject.BALLOONS: ("a child holding many colourful balloons", "a bunch of bright balloons on strings"),
}

CITIES: Mapping[City, tuple[str, ...]] = {
    City.NEWYORK: (
        "a yellow taxi and crowded brick towers",
        "a yellow taxi and dense brown towers",
    ),
    City.CHICAGO: (
        "a silver train and a flag with red stars",
        "a raised train and a flag with blue stripes",
    ),
    City.SANFRANCISCO: (
        "small houses on a hill and a white pyramid",
        "houses on a steep street and a white pyramid",
    ),
    City.LONDON: (
        "a red double-decker bus and a grey dome",
        "a red bus and a glass egg tower",
    ),
    City.SYDNEY: (
        "a green ferry and a golden tower top",
        "a green ferry and small white sails behind",
    ),
}

TIMES: Mapping[Time, tuple[str, ...]] = {
    Time.SUNRISE: ("early in the morning under a pink sky", "at sunrise under a lilac sky"),
    Time.DAY: ("by day under a blue sky", "in bright daylight under a blue sky"),
    Time.SUNSET: ("in the evening under an orange sky", "at sunset under a red sky"),
    Time.NIGHT: ("at night under a dark sky", "at night with lit windows"),
}

WEATHERS: Mapping[Weather, tuple[str, ...]] = {
    Weather.CLEAR: ("the weather is clear", "the air is clear and dry"),
    Weather.RAIN: ("rain is falling on puddles", "it rains in long streaks"),
    Weather.SNOW: ("snow is falling on white ground", "white snowflakes cover everything"),
    Weather.FOG: ("thick fog hides the distance", "everything is pale behind fog"),
}

MOODS: Mapping[Mood, tuple[str, ...]] = {
    Mood.CALM: ("It is quiet.", "Hardly anyone is there."),
    Mood.LIVELY: ("Many people under little flags.", "A crowd below small flags."),
    Mood.ROMANTIC: ("A couple stands below a heart.", "A couple is in love."),
    Mood.PLAYFUL: ("Children jump under a kite.", "Two people jump and a kite flies."),
}
