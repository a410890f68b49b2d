"""Headless Chromium, as the distribution packages it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from patience import LONGEST
from playwright.sync_api import Browser, BrowserContext, sync_playwright


@contextmanager
def chromium(*arguments: str) -> Iterator[Browser]:
    """Run Chromium with further command-line *arguments*."""
    path = shutil.which("chromium")
    assert path is not None, "chromium is missing: `make test` installs it"
    with sync_playwright() as playwright:
        # Chromium refuses to create its sandbox for root, as in a container.
        browser = playwright.chromium.launch(
            executable_path=path, chromium_sandbox=os.geteuid() != 0, args=list(arguments)
        )
        yield browser
        browser.close()


def patient(context: BrowserContext) -> BrowserContext:
    """Have *context* wait as long as a busy machine may need."""
    context.set_default_timeout(1000 * LONGEST)
    return context
