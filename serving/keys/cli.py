"""Command line for API keys: `snap2caption key new | list | rotate | revoke | migrate`."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snap2caption.command_line.console import print_result
from snap2caption.errors import UserError
from snap2caption.feedback import is_creator

if TYPE_CHECKING:
    from serving.keys.store import KeyStore, StoredKey

_DAY = 24 * 3600.0
_MAX_DAYS = 36_500

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
KeyId = Annotated[str, typer.Argument(metavar="KEY_ID", help="Id of the key, as `key list` shows it.")]
Days = Annotated[int | None, typer.Option(min=1, max=_MAX_DAYS, metavar="DAYS", help="How many days the key is valid.")]


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    group = typer.Typer(
        help="API keys: new, list, rotate, revoke, migrate.", no_args_is_help=True, rich_markup_mode=None
    )
    for command in (new, rotate, revoke, migrate):
        group.command()(command)
    group.command("list")(list_)
    app.add_typer(group, name="key")


def new(
    creator: Annotated[str | None, typer.Option(help="Id of the key's creator; by default a new creator.")] = None,
    name: Annotated[str, typer.Option(help="A name for the key.")] = "",
    days: Days = None,
    as_json: AsJson = False,
) -> None:
    """Create a key, for a new creator or a known one. The key is printed once and can't be shown again."""
    from serving.keys.store import new_creator

    store = _open_store(create=True)
    if creator is not None and not store.keys(_check_creator(creator)):
        raise UserError(f"There is no creator {creator}; `snap2caption key list` shows all creators.")
    _print_new(*store.add(creator or new_creator(), name, None if days is None else days * _DAY), as_json=as_json)


def list_(
    creator: Annotated[str | None, typer.Option(help="List only this creator's keys.")] = None, as_json: AsJson = False
) -> None:
    """List the keys with their ids, creators, names and times. The keys themselves are never shown."""
    from serving.settings import ServingSettings
    from snap2caption.settings import read_settings

    if creator is not None:
        _check_creator(creator)
    exists = read_settings(ServingSettings).has_key_store
    keys = [_document(key) for key in _open_store().keys(creator)] if exists else []
    rows = ["  ".join(str(value or "-") for value in key.values()) for key in keys]
    print_result("\n".join(["  ".join(keys[0]), *rows]) if keys else "There are no keys.", keys, as_json=as_json)


def rotate(
    key_id: KeyId,
    days: Days = None,
    overlap_hours: Annotated[
        float, typer.Option(min=0, max=24 * _MAX_DAYS, help="How many hours the old key stays valid.")
    ] = 24.0,
    as_json: AsJson = False,
) -> None:
    """Replace a key by a new one with the same creator and lifetime. The old key is revoked after an overlap."""
    from serving.keys.store import KeyState

    store = _open_store()
    old = store.find(key_id)
    if old.state(time.time()) is not KeyState.VALID:
        raise UserError(
            f"The key {key_id} is no longer valid; "
            f"create a new one with `snap2caption key new --creator {old.creator}`."
        )
    lifetime = None if old.expires is None else old.expires - old.created
    new_key = store.add(old.creator, old.name, lifetime if days is None else days * _DAY)
    store.revoke(key_id, overlap_hours * 3600)
    _print_new(*new_key, as_json=as_json)


def revoke(key_id: KeyId, as_json: AsJson = False) -> None:
    """Revoke a key from the next request on. The creator's other keys, voice and feedback stay."""
    document = _document(_open_store().revoke(key_id))
    print_result(f"The key {key_id} is revoked.", document, as_json=as_json)


def migrate(as_json: AsJson = False) -> None:
    """Give the creators of API_KEY_HASHES random ids and move their data. It may be interrupted and run again."""
    from serving.keys.migration import migrate as migrate_creators
    from serving.settings import ServingSettings
    from snap2caption.settings import Settings, read_settings

    moved = migrate_creators(read_settings(ServingSettings), Settings().feedback_uri)
    text = f"Creators migrated: {moved.creators}. Feedback moved in the store: {moved.feedback}."
    print_result(text, {"creators": moved.creators, "feedback": moved.feedback}, as_json=as_json)


def _open_store(*, create: bool = False) -> "KeyStore":
    """Open the key store. A file is created only with the first key: once it exists, services require keys."""
    from serving.keys.store import KeyStore
    from serving.settings import ServingSettings
    from serving.state.opening import open_database
    from serving.state.tables import Section
    from snap2caption.settings import read_settings

    settings = read_settings(ServingSettings)
    if not create and not settings.has_key_store:
        raise UserError(f"There are no keys in {settings.key_file}; create one with `snap2caption key new`.")
    return KeyStore(open_database(settings, Section.KEYS))


def _check_creator(creator: str) -> str:
    if not is_creator(creator):
        raise typer.BadParameter("a creator's id has 64 digits and letters from a to f", param_hint="--creator")
    return creator


def _print_new(secret: str, key: "StoredKey", *, as_json: bool) -> None:
    validity = "is valid until it is revoked" if key.expires is None else f"is valid until {_time(key.expires)}"
    text = f"{secret}\nThe key {key.id} of the creator {key.creator} {validity}. Save it now: it is not shown again."
    print_result(text, {"key": secret, **_document(key)}, as_json=as_json)


def _document(key: "StoredKey") -> dict[str, Any]:
    return {
        "id": key.id,
        "creator": key.creator,
        "name": key.name,
        "created": _time(key.created),
        "expires": key.expires and _time(key.expires),
        "revoked": key.revoked and _time(key.revoked),
        "state": str(key.state(time.time())),
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
