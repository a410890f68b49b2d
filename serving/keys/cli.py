"""Commands for keys: `snap2caption key new | list | rotate | revoke | migrate`."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snap2caption.console import print_result
from snap2caption.errors import UserError
from snap2caption.feedback import is_creator

if TYPE_CHECKING:
    from serving.keys.store import KeyStore, StoredKey

_DAY = 24 * 3600.0
_MOST_DAYS = 36_500

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
KeyId = Annotated[str, typer.Argument(metavar="KEY_ID", help="As `key list` names it.")]
Days = Annotated[int | None, typer.Option(min=1, max=_MOST_DAYS, metavar="DAYS", help="How long the key is valid.")]


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
    creator: Annotated[str | None, typer.Option(help="Whose; by default a new creator's.")] = None,
    name: Annotated[str, typer.Option(help="What you call it.")] = "",
    days: Days = None,
    as_json: AsJson = False,
) -> None:
    """Make a key, of a new creator or one more of a known one. It is printed once, and can't be shown again."""
    from serving.keys.store import new_creator

    store = _store(make=True)
    if creator is not None and not store.keys(_checked(creator)):
        raise UserError(f"No key is {creator}'s; `snap2caption key list` names the creators that there are.")
    _print_new(*store.add(creator or new_creator(), name, None if days is None else days * _DAY), as_json=as_json)


def list_(
    creator: Annotated[str | None, typer.Option(help="Only this creator's.")] = None, as_json: AsJson = False
) -> None:
    """List the keys: their ids, creators, names and times, and never a key."""
    from serving.settings import ServingSettings
    from snap2caption.settings import read_settings

    whose = None if creator is None else _checked(creator)
    there = read_settings(ServingSettings).key_file.exists()
    found = [_document(key) for key in _store().keys(whose)] if there else []
    lines = ["  ".join(str(value or "-") for value in one.values()) for one in found]
    print_result("\n".join(["  ".join(found[0]), *lines]) if found else "There are no keys.", found, as_json=as_json)


def rotate(
    key_id: KeyId,
    days: Days = None,
    overlap_hours: Annotated[
        float, typer.Option(min=0, max=24 * _MOST_DAYS, help="How long the old key is good beside it.")
    ] = 24.0,
    as_json: AsJson = False,
) -> None:
    """Make a key in place of another, of the same creator and for as long. The old one is revoked after an overlap."""
    from serving.keys.store import KeyState

    store = _store()
    old = store.find(key_id)
    if old.state(time.time()) is not KeyState.VALID:
        raise UserError(
            f"The key {key_id} is valid no longer; make one by `snap2caption key new --creator {old.creator}`."
        )
    as_long = None if old.expires is None else old.expires - old.created
    made = store.add(old.creator, old.name, as_long if days is None else days * _DAY)
    store.revoke(key_id, overlap_hours * 3600)
    _print_new(*made, as_json=as_json)


def revoke(key_id: KeyId, as_json: AsJson = False) -> None:
    """Let a key be good for nothing from the next request on. Its creator's other keys, voice and feedback stay."""
    document = _document(_store().revoke(key_id))
    print_result(f"The key {key_id} is revoked.", document, as_json=as_json)


def migrate(as_json: AsJson = False) -> None:
    """Give the creators behind API_KEY_HASHES ids that tell of no key, and move what is theirs. It can be cut off and run again."""
    from serving.keys.migration import migrate as step
    from serving.settings import ServingSettings
    from snap2caption.settings import Settings, read_settings

    moved = step(read_settings(ServingSettings), Settings().feedback_uri)
    text = f"{moved.creators} creators; {moved.feedback} of their feedback moved in the store."
    print_result(text, {"creators": moved.creators, "feedback": moved.feedback}, as_json=as_json)


def _store(*, make: bool = False) -> "KeyStore":
    """Open the key store. It is made only with the first key: once it is there, services ask for keys."""
    from serving.keys.store import KeyStore
    from serving.settings import ServingSettings
    from snap2caption.settings import read_settings

    path = read_settings(ServingSettings).key_file
    if not make and not path.exists():
        raise UserError(f"There are no keys in {path}; `snap2caption key new` makes one.")
    return KeyStore(path)


def _checked(creator: str) -> str:
    if not is_creator(creator):
        raise typer.BadParameter("it has 64 digits and letters from a to f", param_hint="--creator")
    return creator


def _print_new(secret: str, key: "StoredKey", *, as_json: bool) -> None:
    until = "for good" if key.expires is None else f"until {_time(key.expires)}"
    text = f"{secret}\nThe key {key.id} of the creator {key.creator} is valid {until}. Note it down: it is not shown again."
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
