"""City selection: which cities of a corpus are kept."""

from collections.abc import Mapping, Sequence

from etl.place import Place
from etl.transform.archive.members import no_usable_samples_error, normalize_city
from snap2caption.errors import UserError

DEFAULT_CITIES = ("newyork", "chicago", "sanfrancisco")

ALL = "all"
"""Selects every city that has photos."""

_MOST_NAMED = 30


def choose_cities(corpus: Place, asked: Sequence[str] | None, found: Mapping[str, bool]) -> tuple[str, ...]:
    """Return the cities to keep, in alphabetical order.

    Args:
        corpus: the zip's place, for error messages.
        asked: names in any spelling, or `ALL`. None: those of `DEFAULT_CITIES` that the corpus has.
        found: each city of the corpus, and whether it has photos.

    Raises:
        UserError: the corpus has no cities, none of the default ones, or not a requested one.
    """
    if not found:
        raise no_usable_samples_error(corpus, (), {})
    with_photos = sorted(city for city, has_photos in found.items() if has_photos)
    if asked is None:
        wanted = found.keys() & set(DEFAULT_CITIES)
        if not wanted:
            raise UserError(f"{corpus} has none of {', '.join(DEFAULT_CITIES)}; {_others(with_photos)}.")
        return tuple(sorted(wanted))
    wanted = {normalize_city(city) for city in asked} - {""}
    if not wanted:
        raise UserError(f"No city was given; {_others(with_photos)}.")
    if ALL in wanted:
        return tuple(with_photos)
    if unknown := sorted(wanted - found.keys()):
        raise UserError(f"{corpus} has no {' and no '.join(unknown)}; {_others(with_photos)}.")
    return tuple(sorted(wanted))


def _others(cities: Sequence[str]) -> str:
    more = len(cities) - _MOST_NAMED
    named = ", ".join(cities[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
    return f"choose among {named} with --cities, or keep every city with --cities {ALL}"
