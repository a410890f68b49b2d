"""The operator's command for an erasure that a creator asks for by other ways than the API: `snap2caption feedback erase`."""

import time
from typing import Annotated

import typer

from snap2caption.command_groups import open_group
from snap2caption.console import print_result
from snap2caption.errors import UserError
from snap2caption.feedback import is_creator


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    open_group(app, "feedback", "What creators said of captions: erase.").command()(erase)


def erase(
    creator: Annotated[str, typer.Option(help="Whose, as `snap2caption key list` has it.")],
    seconds: Annotated[float, typer.Option(min=0, help="How long to wait for the store.")] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Erase all feedback of a creator, their voice, and what was kept of their requests, whatever keys they have."""
    from serving.feedback.service import open_feedback_service
    from serving.settings import ServingSettings
    from snap2caption.settings import Settings, read_settings

    service = open_feedback_service(read_settings(ServingSettings), Settings().feedback_uri)
    try:
        if not (is_creator(creator) and service.is_known(creator)):
            raise UserError(
                f"Nothing is kept of a creator {creator}; if `snap2caption key list` names them, they have sent nothing yet."
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
            "Nothing is left on this machine, but the store can't be reached; run this again, or let a service run over this folder."
        )
    print_result("Nothing of the creator is left.", {"creator": creator, "erased": True}, as_json=as_json)
