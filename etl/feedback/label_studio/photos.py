"""How photos come to annotators' browsers: through Label Studio, which reads them where feedback is kept, for whoever may see the task.

So no address expires, none works without a login, and an erased photo is nowhere else.
"""

from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote, urlsplit

from etl.feedback.label_studio.project import AnnotationProject
from snap2caption.errors import UserError

_TITLE = "Photos of feedback"
_PHOTOS = "photos"
_NOTHING = "(?!)"
"""A pattern that no file's name has: nothing is imported from a storage, even if somebody presses "Sync"."""


def keep_storage(project: AnnotationProject, photos_uri: str) -> None:
    """Make sure that the project hands out the photos under *photos_uri*.

    From an S3 store Label Studio reads with the keys in its own server's environment; in a folder, what lies below its server's document root.
    It takes a storage only where something is in it.

    Raises:
        UserError: the URI is not one that Label Studio can read.
    """
    parts = urlsplit(photos_uri)
    if parts.scheme == "s3":
        _keep_bucket(project, parts.netloc, f"{parts.path.strip('/')}/{_PHOTOS}/".lstrip("/"))
    elif parts.scheme == "file":
        _keep_folder(project, Path(unquote(parts.path)))
    else:
        raise UserError(
            f"Label Studio can't read photos from {photos_uri}; keep feedback in an S3 store, or give the S3 address of the same "
            "objects in SNAP2CAPTION_LABEL_STUDIO_PHOTOS_URI (Swift has an S3 interface)."
        )


def address(photos_uri: str, key: str) -> str:
    """Return what a task names the photo with *key* by. Label Studio makes of it what a browser asks for."""
    if urlsplit(photos_uri).scheme == "file":
        return f"/data/local-files/?d={key}"
    return f"{photos_uri.rstrip('/')}/{key}"


def _keep_bucket(project: AnnotationProject, bucket: str, prefix: str) -> None:
    storages = project.client.import_storage.s3.list(project=project.id)
    if any(storage.bucket == bucket and storage.prefix == prefix for storage in storages):
        return
    project.client.import_storage.s3.create(
        project=project.id,
        title=_TITLE,
        bucket=bucket,
        prefix=prefix,
        # Through Label Studio, not by an address of the store's own.
        presign=False,
        regex_filter=_NOTHING,
    )


def _keep_folder(project: AnnotationProject, folder: Path) -> None:
    photos = folder / _PHOTOS
    storages = project.client.import_storage.local.list(project=project.id)
    if any(storage.path == str(photos) for storage in storages):
        return
    # Below its root are the photos, and not the folder: so the folder is the root, from which addresses are counted.
    if not _is_below_root(project, photos) or _is_below_root(project, folder):
        raise UserError(
            f"Label Studio can't read photos from {folder}; start its server with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and "
            f"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={folder}, or keep feedback in an S3 store."
        )
    project.client.import_storage.local.create(
        project=project.id, title=_TITLE, path=str(photos), use_blob_urls=True, regex_filter=_NOTHING
    )


def _is_below_root(project: AnnotationProject, folder: Path) -> bool:
    """Whether Label Studio's server may read what is in *folder*."""
    from label_studio_sdk.core.api_error import ApiError

    try:
        project.client.import_storage.local.validate(project=project.id, path=str(folder), use_blob_urls=True)
    except ApiError as error:
        if error.status_code == HTTPStatus.BAD_REQUEST:
            return False
        raise
    return True
