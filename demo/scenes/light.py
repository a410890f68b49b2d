"""Lighting: how the time of day and the weather color a scene."""

from dataclasses import dataclass, replace

from demo.scenes.scene import Time, Weather

Color = tuple[int, int, int]

_TINTS = {
    Time.SUNRISE: (1.02, 0.88, 0.98),
    Time.DAY: (1.0, 1.0, 1.0),
    Time.SUNSET: (0.98, 0.71, 0.54),
    Time.NIGHT: (0.44, 0.47, 0.66),
}
_SKIES: dict[Time, tuple[Color, Color, Color]] = {
    Time.SUNRISE: ((142, 138, 216), (238, 172, 210), (255, 226, 214)),
    Time.DAY: ((48, 122, 224), (112, 178, 242), (196, 228, 250)),
    Time.SUNSET: ((92, 38, 92), (232, 84, 36), (255, 178, 44)),
    Time.NIGHT: ((5, 7, 28), (14, 19, 56), (40, 44, 96)),
}
_OVERCAST: dict[Time, Color] = {
    Time.SUNRISE: (196, 172, 200),
    Time.DAY: (148, 160, 174),
    Time.SUNSET: (176, 104, 82),
    Time.NIGHT: (26, 30, 48),
}
_VEILS: dict[Time, Color] = {
    Time.SUNRISE: (240, 216, 228),
    Time.DAY: (216, 221, 226),
    Time.SUNSET: (238, 176, 132),
    Time.NIGHT: (104, 110, 134),
}
_OVERCAST_SHARE = {Weather.CLEAR: 0.0, Weather.RAIN: 0.5, Weather.SNOW: 0.3, Weather.FOG: 0.25}
_HAZE = {Weather.CLEAR: 0.30, Weather.RAIN: 0.42, Weather.SNOW: 0.42, Weather.FOG: 0.85}
_DIM = {Weather.CLEAR: 1.0, Weather.RAIN: 0.84, Weather.SNOW: 0.98, Weather.FOG: 0.97}


def mix(first: Color, second: Color, share: float) -> Color:
    """Return *first* with *share* (0 to 1) of *second* in it."""
    keep = 1.0 - share
    return (
        int(first[0] * keep + second[0] * share),
        int(first[1] * keep + second[1] * share),
        int(first[2] * keep + second[2] * share),
    )


@dataclass(frozen=True, slots=True)
class Light:
    """The light of one picture: what it does to a surface's own color, by how far away that is."""

    tint: tuple[float, float, float]
    sky: tuple[Color, Color, Color]
    veil: Color
    haze: float
    dark: bool

    def shade(self, color: Color, depth: float = 0.0) -> Color:
        """Return how a surface of *color* looks at *depth*: 0 is near, 1 is at the horizon."""
        tint = self.tint
        lit = (
            min(255, int(color[0] * tint[0])),
            min(255, int(color[1] * tint[1])),
            min(255, int(color[2] * tint[2])),
        )
        return mix(lit, self.veil, self.haze * depth) if depth else lit

    def floodlit(self) -> "Light":
        """Return the light on what is lit up after dark."""
        red, green, blue = self.tint
        return replace(self, tint=(red * 1.75, green * 1.65, blue * 1.4)) if self.dark else self

    @property
    def horizon(self) -> Color:
        """The sky just above the horizon."""
        return self.sky[2]


def light_of(time: Time, weather: Weather) -> Light:
    """Return the light at *time* in *weather*."""
    overcast, share, dim = _OVERCAST[time], _OVERCAST_SHARE[weather], _DIM[weather]
    top, middle, bottom = _SKIES[time]
    tint = _TINTS[time]
    foggy = weather is Weather.FOG
    return Light(
        tint=(tint[0] * dim, tint[1] * dim, tint[2] * dim),
        # The horizon keeps most of its hue: it must still tell the time when it rains.
        sky=(mix(top, overcast, share), mix(middle, overcast, share * 0.7), mix(bottom, overcast, share * 0.4)),
        veil=_VEILS[time] if foggy else mix(mix(top, middle, 0.5), bottom, 0.6),
        haze=_HAZE[weather],
        dark=time is Time.NIGHT,
    )
