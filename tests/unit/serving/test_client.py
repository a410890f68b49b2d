"""Client: answers that do not come from the service."""

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from web_server import listening

from serving.client import Client
from snap2caption.errors import UserError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "answer", [RedirectResponse("https://127.0.0.1/v1/generate-caption"), HTMLResponse("<p>Welcome</p>")]
)
def test_an_address_that_is_not_the_services_is_told(answer: Response) -> None:
    async def other(_: object) -> Response:
        return answer

    app = Starlette(routes=[Route("/{path:path}", other, methods=["GET", "POST"])])
    with listening(app) as url, Client(url) as client:
        for call in (client.voice, lambda: client.caption(b"photo"), lambda: list(client.stream(b"photo"))):
            with pytest.raises(UserError, match=r"is not the service's own address .*; check the URL\.$"):
                call()
