"""License check of the packages in images, by the metadata of the installed packages."""

import re
from collections.abc import Iterable
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from pathlib import Path

from supply_chain.lock import IMAGE_LOCKS
from supply_chain.requirements import read

PERMISSIVE = frozenset(
    {
        *("MIT", "MIT License", "MIT-0", "MIT-CMU", "ISC", "ISC License (ISCL)"),
        *("Apache-2.0", "Apache 2.0", "Apache 2.0 License", "Apache Software License", "LLVM-exception"),
        *("BSD License", "BSD-2-Clause", "BSD-3-Clause", "3-Clause BSD License", "FreeBSD", "BSL-1.0"),
        *("PSF-2.0", "Python Software Foundation License", "CNRI-Python"),
        *("MPL-2.0", "Mozilla Public License 2.0 (MPL 2.0)"),
    }
)
"""Permissive licenses, by their SPDX names and as packages write them.

They require notices, and at most, like MPL, the publication of changes to their own files.
"""
WEIGHED = {
    "blake3": "CC0-1.0 or Apache-2.0, as we choose; ours is Apache-2.0",
    "email-validator": "The Unlicense, which asks for nothing",
    "huey": "MIT, by its repository; the package states none",
    "skops": "BSD-3-Clause, by its repository; the package says 'OSI Approved'",
    "pycocoevalcap": "BSD-2-Clause, by its repository; the package says UNKNOWN",
    "sigstore-models": "MIT, by the license in the package; its metadata name none",
    "label-studio-sdk": "Apache-2.0, by the license in the package; its metadata name none",
    "psycopg": "LGPL-3.0, a library of its own that is loaded as it came and can be replaced",
    "psycopg-binary": "LGPL-3.0, a library of its own that is loaded as it came and can be replaced",
    "psycopg2-binary": "LGPL-3.0, a library of its own that is loaded as it came and can be replaced",
    "text-unidecode": "Artistic License, as we choose; the other is the GPL",
    "ujson": "BSD-3-Clause, and the license of TCL, which asks for the notice alone",
    "pi-heif": "LGPL-3.0, a library of its own that is loaded as it came and can be replaced",
}
"""Packages whose metadata are not sufficient, and why they are accepted."""


def unknown_licenses(root: Path) -> list[str]:
    """Return a sentence for each installed package of an image's lock with an unreviewed license.

    Reviewed licenses are those in `PERMISSIVE`, and those of the packages in `WEIGHED`.
    """
    names = sorted({name for lock in IMAGE_LOCKS for name in read(root / "locks" / lock)} - WEIGHED.keys())
    return [sentence for name in names for sentence in _judge(name)]


def is_permissive(stated: str) -> bool:
    """Return whether all licenses of *stated*, an SPDX expression or what packages write instead, are permissive."""
    words = [word.strip() for word in re.split(r"\b(?:AND|OR|WITH)\b|[|,]", stated)]
    return PERMISSIVE.issuperset(words)


def _judge(name: str) -> Iterable[str]:
    try:
        stated = _stated(metadata(name))
    except PackageNotFoundError:
        return
    if not is_permissive(stated):
        yield (
            f"{name} has the license {stated or 'none'!r}; read it, then add it to supply_chain/licenses.py, "
            "or do without it."
        )


def _stated(package: PackageMetadata) -> str:
    classifiers = [
        text.rpartition("::")[2].strip()
        for text in package.get_all("Classifier") or ()
        if text.startswith("License ::")
    ]
    texts = [
        *(package.get_all("License-Expression") or ()),
        " | ".join(classifiers),
        *(package.get_all("License") or ()),
    ]
    return next((text for text in texts if text), "")
