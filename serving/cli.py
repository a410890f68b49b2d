"""Command line of the service: serve, serve-feedback and caption, and the groups for keys and feedback."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serving.feedback import cli as feedback
from serving.keys import cli as keys
from serving.settings import ServingSettings
from serving.transfer import cli as transfer
from snap2caption.command_line.console import print_result
from snap2caption.errors import validation_message
from snap2caption.formats.strict_json import to_document
from snap2caption.post import MOST_HASHTAGS, Emoji, Length, Tone
from snap2caption.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

    from serving.http.schemas import CaptionAnswer


_KEY = "SNAP2CAPTION_API_KEY"

SETTINGS = (ServingSettings,)
"""Settings classes that the environment variables fill."""

VARIABLES = (_KEY,)
"""Environment variables that are read without a settings class."""

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Model = Annotated[
    str | None,
    typer.Option(
        help="Use this model, untrained, instead of the registry's champion: the name of a folder under models/, "
        "owner/name on the model hub, or its name at --engine."
    ),
]
EngineUrl = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="URL",
        help="OpenAI-compatible server that runs the model: Ollama, llama.cpp, LM Studio, vLLM. "
        "Set SNAP2CAPTION_SERVING_ENGINE_KEY if it requires a key.",
    ),
]
RootPath = Annotated[str | None, typer.Option(help="Path prefix under which a proxy publishes the service.")]
Page = Annotated[bool | None, typer.Option("--page/--no-page", help="Serve the web page for creators; on by default.")]
_Port = typer.Option(min=1, max=65535, help="Port to listen on.")


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    for command in (serve, serve_feedback, caption):
        app.command()(command)
    keys.register(app)
    feedback.register(app)
    transfer.register(app)


def serve(
    model: Model = None,
    engine: EngineUrl = None,
    host: Host = "127.0.0.1",
    port: Annotated[int, _Port] = 8000,
    root_path: RootPath = None,
    page: Page = None,
) -> None:
    """Serve captions over HTTP until stopped: the registry's champion, or any model by name.

    Other machines can connect only with an API key.
    """

    def make(settings: ServingSettings, give_up: "Callable[[], None]") -> "FastAPI":
        from serving.app import create_app

        _set_up_mlflow_client()
        return create_app(settings, give_up)

    _serve(make, host, port, root_path=root_path, page=page, model=model, engine_url=engine)


def serve_feedback(host: Host = "127.0.0.1", port: Annotated[int, _Port] = 8010, root_path: RootPath = None) -> None:
    """Accept feedback over HTTP, without a model, until stopped. Other machines can connect only with an API key."""

    def make(settings: ServingSettings, give_up: "Callable[[], None]") -> "FastAPI":  # noqa: ARG001 - has no model
        from serving.feedback_app import create_intake

        return create_intake(settings)

    _serve(make, host, port, root_path=root_path)


def _serve(
    make: "Callable[[ServingSettings, Callable[[], None]], FastAPI]", host: str, port: int, **given: str | bool | None
) -> None:
    """Serve the application that *make* returns: both services listen, log and stop in the same way.

    *given* are settings from the command line, which precede the environment's; None leaves one to it.
    """
    from serving.listener import open_listener

    settings = _read_settings(**given)
    with open_listener(host, port, settings) as listener:
        from serving.observability.logs import log_as_json
        from serving.server import run

        log_as_json()
        run(lambda give_up: make(settings, give_up), listener, settings)


def _read_settings(**given: str | bool | None) -> ServingSettings:
    return read_settings(ServingSettings, **{name: value for name, value in given.items() if value is not None})


def caption(
    photos: Annotated[
        list[Path],
        typer.Argument(help="A JPEG, PNG, WebP, GIF, HEIC or AVIF file; several files make one post.", metavar="PHOTO"),
    ],
    tone: Annotated[Tone | None, typer.Option(help="Tone of voice.")] = None,
    voice: Annotated[list[str] | None, typer.Option(help="A caption to imitate; repeat the option for more.")] = None,
    location: Annotated[str | None, typer.Option(help="Where the photo was taken.")] = None,
    language: Annotated[str | None, typer.Option(help="Language of the caption.")] = None,
    length: Annotated[Length | None, typer.Option(help="Length of the caption.")] = None,
    emoji: Annotated[Emoji | None, typer.Option(help="How many emoji.")] = None,
    hashtags: Annotated[int, typer.Option(min=1, max=30, help="How many hashtags.")] = 8,
    seed: Annotated[int | None, typer.Option(min=0, help="Random seed; each seed gives another caption.")] = None,
    hint: Annotated[str | None, typer.Option(help="What to mention in the caption.")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say why each hashtag was chosen.")] = False,
    model: Model = None,
    engine: EngineUrl = None,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="Ask this service; without it, the model is loaded here.")
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="Save photo and caption side by side to this PNG file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Caption a photo, or several photos of one post. Set SNAP2CAPTION_API_KEY for a server that requires a key."""
    from pydantic import ValidationError

    from serving.http.schemas import Options

    try:
        options = Options(
            tone=tone,
            voice=voice,
            location=location,
            language=language,
            length=length,
            emoji=emoji,
            hashtags=hashtags,
            seed=seed,
            hint=hint,
            explain=explain,
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise typer.BadParameter(validation_message(first), param_hint=f"--{first['loc'][0]}") from error
    if url and (model or engine):
        raise typer.BadParameter("the service decides on its model; leave out --model and --engine", param_hint="--url")
    from serving.client import Client, read_photo

    content = [read_photo(photo) for photo in photos]
    if url:
        with Client(url, os.environ.get(_KEY)) as client:
            answer = client.caption(*content, options=options)
    else:
        from serving.offline.caption import open_captioner

        _set_up_mlflow_client()
        with open_captioner(_read_settings(model=model, engine_url=engine)) as caption_post:
            answer = caption_post(content, options)
    if picture:
        from serving.offline.picture import draw_post
        from snap2caption.images import WORKING_SIDE, decode

        draw_post(
            decode(content[0], max_side=WORKING_SIDE),
            answer.caption,
            answer.hashtags[:MOST_HASHTAGS],
            answer.notices,
            answer.model_version,
            picture,
        )
    print_result(_as_text(answer), to_document(answer), as_json=as_json)


def _as_text(answer: "CaptionAnswer") -> str:
    """Return the post ready to paste, then further hashtags, explanations and notices."""
    more = answer.hashtags[MOST_HASHTAGS:]
    notes = [
        *([f"Further hashtags: {' '.join(more)}"] if more else []),
        *(f"{reason.hashtag}: {reason.why}" for reason in answer.explanations or ()),
        *(f"Note: {notice}" for notice in answer.notices),
    ]
    return "\n\n".join(filter(None, (answer.post, "\n".join(notes))))


def _set_up_mlflow_client() -> None:
    """Make MLflow's client fail within seconds when the registry is down, and draw nothing into the log.

    By default it retries for minutes, though the service polls the registry anyway, and draws bars of its progress.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
