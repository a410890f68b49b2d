"""Erasure command for operators: `snap2caption feedback erase`, for creators who don't ask through the API."""

import time
from typing import Annotated

import typer

from snap2caption.command_line.console import print_result
from snap2caption.command_line.groups import open_group
from snap2caption.errors import UserError
from snap2caption.feedback import is_creator


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    open_group(app, "feedback", "Creators' feedback on captions: erase.").command()(erase)


def erase(
    creator: Annotated[str, typer.Option(help="Id of the creator, as `snap2caption key list` shows it.")],
    seconds: Annotated[float, typer.Option(min=0, help="How many seconds to wait for the store.")] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Erase all of a creator's feedback, voice and kept requests, whichever keys they used."""
    from serving.feedback.service import open_feedback_service
    from serving.settings import ServingSettings
    from snap2caption.settings import Settings, read_settings

    service = open_feedback_service(read_settings(ServingSettings), Settings().feedback_uri)
    try:
        if not (is_creator(creator) and service.is_known(creator)):
            raise UserError(
                f"There is no data of a creator {creator}; "
                "if `snap2caption key list` shows them, they have sent nothing yet."
            )
        service.start()
        service.erase_all(creator)
        deadline = time.monotonic() + seconds
        while not (erased := service.is_erased(creator)) and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        service.close()
    if not erased:
        raise UserError(
            "All data on this machine is erased, but the store can't be reached; "
            "run this again later, or start a service that uses this folder."
        )
    print_result("All data of the creator is erased.", {"creator": creator, "erased": True}, as_json=as_json)
