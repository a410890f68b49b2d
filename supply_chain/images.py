"""Container images pinned by digest: ``images.txt``, the Dockerfiles, and the registries."""

import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

DOCKER_HUB = "registry-1.docker.io"
MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
NAMED = re.compile(
    r"""(?:^\s*(?:ARG\s+(?P<variable>\w+)=|FROM\s+(?:--\S+\s+)*|COPY\s+(?:--\S+\s+)*?--from=|-?\s*image:\s*)
    |--mount=\S*?\bfrom=)
    ["']?(?:\$\{\w+:?-)?(?P<image>[^\s"',$}-][^\s"',$}]*)""",
    re.MULTILINE | re.IGNORECASE | re.VERBOSE,
)
"""Matches an image in a Dockerfile or Compose file, and the default of a variable that may name an image."""
CHOSEN = re.compile(r"^\s*FROM\s+(?:--\S+\s+)*[^\s$]*\$\{?(\w+)", re.MULTILINE | re.IGNORECASE)
"""Matches a variable that names an image in a Dockerfile."""
FILES = ("Dockerfile*", "*compose*.yml", "*compose*.yaml")
OURS = "snap2caption-"
"""The prefix of the images that are built here."""


class ImageReferenceError(ValueError):
    """An image reference is invalid, or no registry has the image. The message names it."""


@dataclass(frozen=True)
class Image:
    """A container image: its name as people write it (``python``, ``ghcr.io/owner/name``), its tag and its digest.

    The digest (``sha256:HEX``) is None until it is looked up.
    """

    name: str
    tag: str
    digest: str | None = None

    def __str__(self) -> str:
        return f"{self.name}:{self.tag}" + (f"@{self.digest}" if self.digest else "")

    @property
    def repository(self) -> tuple[str, str]:
        """The registry's host, and the image's name there."""
        host, _, rest = self.name.partition("/")
        if rest and (re.search(r"[.:]", host) or host == "localhost"):
            return host, rest
        return DOCKER_HUB, self.name if rest else f"library/{self.name}"


def parse(text: str) -> Image:
    """Return the image that *text* names.

    Raises:
        ImageReferenceError: it has no tag, a tag that changes with each release (``latest``), or an invalid digest.
    """
    found = re.fullmatch(r"(?P<name>[a-z0-9][\w./:-]*?):(?P<tag>[\w.-]+)(?:@(?P<digest>\S+))?", text)
    if found is None or found["tag"] == "latest":
        raise ImageReferenceError(f"{text} names no release of an image; write NAME:TAG, or NAME:TAG@sha256:HEX.")
    if found["digest"] is not None and not re.fullmatch(r"sha256:[0-9a-f]{64}", found["digest"]):
        raise ImageReferenceError(f"{text} has a digest that is none; run `make pin-images`.")
    return Image(found["name"], found["tag"], found["digest"])


def listed(root: Path) -> list[Image]:
    """Return the images of ``images.txt``.

    Raises:
        ImageReferenceError: a line does not name an image.
    """
    lines = (line.partition("#")[0].split() for line in (root / "images.txt").read_text(encoding="utf-8").splitlines())
    return [parse(words[-1]) for words in lines if words]


def disagreements(root: Path) -> list[str]:
    """Return a sentence for each image in a Dockerfile or Compose file that ``images.txt`` lacks.

    *root* is the project's folder.
    """
    try:
        known = {str(image) for image in listed(root)}
    except ImageReferenceError as error:
        return [f"images.txt: {error}"]
    return [
        f"{path.relative_to(root)} names {name}, which images.txt does not have; add it there, by tag and digest."
        for path in _files(root)
        for name in _named(path.read_text(encoding="utf-8"))
        if name not in known
    ]


def unpinned(root: Path) -> list[Image]:
    """Return the images of ``images.txt`` without a digest. Their tag may become another image any day."""
    return [image for image in listed(root) if image.digest is None]


def _files(root: Path) -> list[Path]:
    folders = [root, *(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))]
    return sorted(
        path
        for folder in folders
        for pattern in FILES
        for path in (folder.glob if folder == root else folder.rglob)(pattern)
    )


def _named(text: str) -> list[str]:
    text = text.replace("\\\n", " ")
    stages = {"scratch", *(name.lower() for name in re.findall(r"\bAS\s+(\S+)", text, re.IGNORECASE))}
    chosen = {None, *CHOSEN.findall(text)}
    found = [match["image"] for match in NAMED.finditer(text) if match["variable"] in chosen]
    # A stage may be referenced by its number, too.
    return [
        image for image in found if image.lower() not in stages and not image.isdigit() and not image.startswith(OURS)
    ]


def pin(root: Path, client: httpx.Client) -> list[Image]:
    """Pin all images of ``images.txt`` to their current digests, and return the changed images.

    Digests are written to ``images.txt`` and wherever an image is named.

    Raises:
        ImageReferenceError: a registry can't be reached, or lacks an image. Nothing is written then.
    """
    changed = {str(image): replace(image, digest=digest(image, client)) for image in listed(root)}
    for path in [root / "images.txt", *_files(root)]:
        before = after = path.read_text(encoding="utf-8")
        for old, new in changed.items():
            after = re.sub(rf"(?<![\w/.:@-]){re.escape(old)}(?![\w.:@-])", str(new), after)
        if after != before:
            path.write_text(after, encoding="utf-8")
    return [new for old, new in changed.items() if old != str(new)]


def digest(image: Image, client: httpx.Client) -> str:
    """Return the current digest of *image*'s tag for all platforms: the SHA-256 of the manifest's bytes.

    Source: the OCI distribution specification 1.1, "Pulling manifests", and Docker's token authentication.

    Raises:
        ImageReferenceError: the registry can't be reached, lacks the image, or reports a digest that its content
            does not have.
    """
    host, repository = image.repository
    scheme = "http" if re.fullmatch(r"(localhost|127\.0\.0\.1)(:\d+)?", host) else "https"
    url = f"{scheme}://{host}/v2/{repository}/manifests/{image.tag}"
    headers = {"Accept": MANIFESTS}
    try:
        answer = client.get(url, headers=headers)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            answer = client.get(url, headers={**headers, "Authorization": f"Bearer {_token(answer, client)}"})
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise ImageReferenceError(
            f"{image} could not be looked up ({str(error).splitlines()[0]}); try again where {host} can be reached."
        ) from error
    found = f"sha256:{hashlib.sha256(answer.content).hexdigest()}"
    if answer.headers.get("Docker-Content-Digest", found) != found:
        raise ImageReferenceError(
            f"{host} gave {image} with another digest than its content has; try again, and trust neither."
        )
    return found


def _token(refusal: httpx.Response, client: httpx.Client) -> str:
    asked = dict(re.findall(r'(\w+)="([^"]*)"', refusal.headers.get("WWW-Authenticate", "")))
    if "realm" not in asked:
        raise ImageReferenceError(f"{refusal.url.host} asks for a log-in of a kind that is not known here.")
    answer = client.get(asked.pop("realm"), params=asked).raise_for_status()
    try:
        given = answer.json()
        return str(given.get("token") or given["access_token"])
    except (ValueError, AttributeError, KeyError) as error:
        raise ImageReferenceError(
            f"{answer.url.host} gave no token for {refusal.url.host}; try again later."
        ) from error
