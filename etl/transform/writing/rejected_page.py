"""Page of rejected samples: an HTML page with pictures, by reason, of what curation left out.

It is not part of the version: what was left out must not be published with what was kept.
"""

from typing import TYPE_CHECKING, Any

from etl.place import Place
from etl.transform import columns
from etl.transform.archive.corpus import CorpusArchive, open_corpus
from etl.transform.archive.member_reader import ArchiveMember
from etl.transform.curation.settings import CurationSettings
from etl.transform.rejection_reasons import CURATED
from etl.transform.writing.card import THUMBNAIL, CardPhoto, draw_thumbnail
from etl.transform.writing.distributions import find_distributions

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_EXAMPLES = 24
"""Pictures per reason."""

_COUNTS = """
SELECT reason, count(*)
FROM checked
WHERE list_contains($reasons, reason)
GROUP BY reason ORDER BY count(*) DESC, reason
"""

_SHOWN = f"""
SELECT {", ".join(columns.places("image"))}, caption, map_entries(measures)
FROM checked
WHERE reason = $reason
ORDER BY sha256(id) LIMIT $most
"""  # noqa: S608 - only our own column names are interpolated


def draw_rejected(connection: "DuckDBPyConnection", corpus: Place, settings: CurationSettings) -> str:
    """Return the page of the samples that *settings* reject, some for each reason; the same input gives the same page.

    *connection* has the view ``checked`` (the results for each pair).
    """
    from jinja2 import Environment, PackageLoader

    counts = connection.execute(_COUNTS, {"reasons": [str(reason) for reason in CURATED]}).fetchall()
    pairs, kept = connection.execute("SELECT count(*), count(*) FILTER (reason IS NULL) FROM checked").fetchall()[0]
    with open_corpus(corpus) as archive:
        groups = []
        for reason, count in counts:
            rows = connection.execute(_SHOWN, {"reason": reason, "most": _EXAMPLES}).fetchall()
            groups.append((reason, count, [_drawn(row, archive) for row in rows]))
    loader = PackageLoader(__package__, ".")
    return (
        Environment(autoescape=True, loader=loader)
        .get_template("rejected.html.j2")
        .render(
            groups=groups,
            pairs=pairs,
            kept=kept,
            steps=settings.model_dump(mode="json", exclude_none=True),
            distributions=find_distributions(connection, settings),
            thumbnail=THUMBNAIL,
        )
    )


def _drawn(row: tuple[Any, ...], archive: CorpusArchive) -> dict[str, str]:
    *place, caption, measures = row
    measured = ", ".join(f"{entry['key']} {_readable(entry['value'])}" for entry in measures or ())
    try:
        return draw_thumbnail(CardPhoto(ArchiveMember(*place).read(archive), caption or "")) | {"measured": measured}
    except (OSError, SyntaxError, ValueError):  # rejected by its caption: the photo was not looked at
        return {"data": "", "caption": caption or "", "measured": measured}


def _readable(value: float) -> str:
    """Return *value* without an exponent."""
    if 0 < value < 0.001:
        return "below 0.001"
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"
