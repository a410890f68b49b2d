"""A visit of the web page by a new visitor, watched for what the page must never do."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from chromium import patient
from playwright.sync_api import Browser, BrowserContext, Page

PHONE = {"width": 360, "height": 780}


# Without slots: Playwright writes an attribute of its own to whatever listens.
@dataclass
class Watch:
    """What a page complained about, and which hosts it asked."""

    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def follow(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self._keep(message.type, message.text))
        page.on("request", lambda request: self._ask(request.url))

    def _keep(self, kind: str, text: str) -> None:
        # Chromium reports every refusal of the service as an error. What the page makes of it is tested.
        if kind in {"error", "warning"} and not text.startswith("Failed to load resource"):
            self.complaints.append(text)

    def _ask(self, url: str) -> None:
        if url.startswith("http"):
            self.hosts.add(url.split("/")[2])


@contextmanager
def visit(browser: Browser, url: str, **options: object) -> Iterator[BrowserContext]:
    """Open a context of its own, as a new visitor, and check at the end that no page broke the policy.

    The policy is the Content-Security-Policy, and that no other host is asked.
    """
    context = patient(browser.new_context(base_url=url, **{"viewport": PHONE, "has_touch": True, **options}))  # type: ignore[arg-type]
    watch = Watch()
    context.on("page", watch.follow)
    yield context
    context.close()
    assert watch.complaints == []
    assert watch.hosts <= {url.split("/")[2]}
