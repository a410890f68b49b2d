"""Reader of Instagram's data export ("Download your information", as JSON).

Exports up to 2024 list posts in ``content``, later ones in ``media``. Instagram writes each byte of UTF-8 as a
character of its own, so that 🌉 becomes ``ð\\x9f\\x8c\\x89``.
"""

import json
import re
from collections.abc import Iterator

from etl.readers.base import ReaderOptions, SkippedPost, SkipReason, SourcePost
from etl.readers.file_tree import FileTree, OversizedError
from etl.readers.photos import VIDEOS, read_photo, suffix_of
from snap2caption.errors import UserError

_POSTS = re.compile(
    r"^((?:.+?/)??)(?:your_instagram_activity/)?(?:content|media)/(?:posts(?:_\d+)?|archived_posts)\.(json|html)$"
)
_MAX_JSON = 256 * 1024 * 1024


class InstagramReader:
    """Reads the posts of an export. A carousel counts as its first photo; reels, stories and messages are not read."""

    name = "instagram"

    def detect(self, tree: FileTree) -> bool:
        """Return whether there are lists of posts."""
        return any(map(_POSTS.match, tree.names()))

    def read(self, tree: FileTree, options: ReaderOptions) -> Iterator[SourcePost | SkippedPost]:
        """Yield a post for each post that has a photo."""
        if options != ReaderOptions():
            raise UserError("Instagram's export has no columns to choose; leave out the options for columns.")
        lists = [match for match in map(_POSTS.match, tree.names()) if match]
        found = [match for match in lists if match[2] == "json"]
        if not found:
            raise UserError(f"{tree.path} is an export in HTML; ask Instagram for one in JSON.")
        for match in found:
            for number, post in enumerate(_posts(tree, match[0])):
                yield _read(tree, match[1], f"{match[0]}#{number}", post)


def repair(text: str) -> str:
    """Return *text* as it was written. Text that is not damaged in Instagram's way stays as it is."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _posts(tree: FileTree, name: str) -> list[dict[str, object]]:
    try:
        content = json.loads(tree.read(name, _MAX_JSON))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{name} in {tree.path} is damaged ({error}); get the export again.") from error
    except OversizedError as error:
        raise UserError(f"{name} in {tree.path} has more than {_MAX_JSON:,} bytes; split it.") from error
    return _objects(content)


def _read(tree: FileTree, root: str, name: str, post: dict[str, object]) -> SourcePost | SkippedPost:
    media = _objects(post.get("media"))
    uris = [uri for one in media if isinstance(uri := one.get("uri"), str)]
    photos = [uri for uri in uris if suffix_of(uri) not in VIDEOS]
    if not photos:
        return SkippedPost(name, SkipReason.VIDEO if uris else SkipReason.MISSING_IMAGE)
    # A post of one photo has its caption there, a carousel at the top.
    titles = [post.get("title"), *(one.get("title") for one in media[:1])]
    caption = next((title for title in titles if isinstance(title, str) and title.strip()), None)
    if caption is None:
        return SkippedPost(name, SkipReason.MISSING_CAPTION)
    photo = read_photo(tree, root + photos[0])
    return photo if isinstance(photo, SkippedPost) else SourcePost(root + photos[0], photo, repair(caption))


def _objects(content: object) -> list[dict[str, object]]:
    """Return the objects of a list, or of the lists in an object: older exports wrap them once more."""
    if isinstance(content, dict):
        content = [one for value in content.values() if isinstance(value, list) for one in value]
    return [one for one in content if isinstance(one, dict)] if isinstance(content, list) else []
