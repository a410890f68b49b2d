"""Photo storage in Label Studio: it proxies the photos from the feedback store to annotators who may see the task.

So no URL expires, none works without a login, and an erased photo exists nowhere else.
"""

from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote, urlsplit

from etl.feedback.label_studio.project import AnnotationProject
from snap2caption.errors import UserError

_TITLE = "Photos of feedback"
_PHOTOS = "photos"
_NOTHING = "(?!)"
"""Pattern that matches no file name: nothing is imported from a storage, even if somebody presses "Sync"."""


def keep_storage(project: AnnotationProject, photos_uri: str) -> None:
    """Make sure that the project serves the photos under *photos_uri*.

    Label Studio reads an S3 store with the keys in its own server's environment, and a folder only below its
    server's document root. It accepts a storage only if it is not empty.

    Raises:
        UserError: Label Studio can't read the URI.
    """
    parts = urlsplit(photos_uri)
    if parts.scheme == "s3":
        _keep_bucket(project, parts.netloc, f"{parts.path.strip('/')}/{_PHOTOS}/".lstrip("/"))
    elif parts.scheme == "file":
        _keep_folder(project, Path(unquote(parts.path)))
    else:
        raise UserError(
            f"Label Studio can't read photos from {photos_uri}; keep feedback in an S3 store, "
            "or give the S3 address of the same objects in SNAP2CAPTION_LABEL_STUDIO_PHOTOS_URI "
            "(Swift has an S3 interface)."
        )


def address(photos_uri: str, key: str) -> str:
    """Return the address of the photo with *key* for a task. Label Studio translates it to a URL for the browser."""
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
        # Serve photos through Label Studio, not by a presigned URL of the store.
        presign=False,
        regex_filter=_NOTHING,
    )


def _keep_folder(project: AnnotationProject, folder: Path) -> None:
    photos = folder / _PHOTOS
    storages = project.client.import_storage.local.list(project=project.id)
    if any(storage.path == str(photos) for storage in storages):
        return
    # The photos must lie below the root, and the folder must not: then the folder is the root, to which
    # addresses are relative.
    if not _is_below_root(project, photos) or _is_below_root(project, folder):
        raise UserError(
            f"Label Studio can't read photos from {folder}; start its server with "
            "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and "
            f"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={folder}, or keep feedback in an S3 store."
        )
    project.client.import_storage.local.create(
        project=project.id, title=_TITLE, path=str(photos), use_blob_urls=True, regex_filter=_NOTHING
    )


def _is_below_root(project: AnnotationProject, folder: Path) -> bool:
    """Whether Label Studio's server may read the files in *folder*."""
    from label_studio_sdk.core.api_error import ApiError

    try:
        project.client.import_storage.local.validate(project=project.id, path=str(folder), use_blob_urls=True)
    except ApiError as error:
        if error.status_code == HTTPStatus.BAD_REQUEST:
            return False
        raise
    return True
