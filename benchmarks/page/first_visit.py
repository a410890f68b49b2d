"""First visit of two web pages on a slow line: the time until a photo can be chosen, and the bytes.

Usage: ``python -m benchmarks.page.first_visit OURS PEER``, the addresses of pages that are served.
"""

import argparse
import statistics
import time
from dataclasses import dataclass

from playwright.sync_api import Browser, Page, sync_playwright

import snap2caption as snap2caption  # it switches the usage reporting of libraries off

DOWNLOAD = 1_600_000 // 8
"""Bytes per second."""

LATENCY = 150
"""Milliseconds that the line adds to each answer."""

RUNS = 5


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit with an empty cache."""

    seconds: float
    """From the request to the field that takes a photo."""

    kilobytes: float
    """Received until the network is idle, compressed as it was sent."""


def visit(browser: Browser, url: str) -> Visit:
    """Open *url* in a browser that has never seen it."""
    page = browser.new_page()
    received = _slow_down(page)
    started = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.locator("input[type=file]").first.wait_for(state="attached")
    seconds = time.perf_counter() - started
    page.wait_for_load_state("networkidle")
    page.close()
    return Visit(seconds, sum(received) / 1000)


def _slow_down(page: Page) -> list[float]:
    """Put *page* on a slow line, and return the list of its answers' bytes, which grows."""
    received: list[float] = []
    network = page.context.new_cdp_session(page)
    network.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    network.send("Network.enable")
    network.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": LATENCY, "downloadThroughput": DOWNLOAD, "uploadThroughput": DOWNLOAD},
    )
    return received


def main() -> None:
    """Visit both pages in turn, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page.first_visit", description=__doc__)
    parser.add_argument("ours")
    parser.add_argument("peer")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="the browser's program")
    arguments = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=arguments.chromium, chromium_sandbox=False)
        pairs = [(visit(browser, arguments.ours), visit(browser, arguments.peer)) for _ in range(RUNS)]
        browser.close()
    ours, theirs = zip(*pairs, strict=True)
    ratio = statistics.median(their.seconds / our.seconds for our, their in pairs)
    print("| | ours | peer | ratio |\n|---|---|---|---|")
    print(f"| until a photo can be chosen | {_seconds(ours):.2f} s | {_seconds(theirs):.2f} s | {ratio:.2f} |")
    weights = (ours[0].kilobytes, theirs[0].kilobytes)
    print(f"| received | {weights[0]:.0f} kB | {weights[1]:.0f} kB | {weights[1] / weights[0]:.1f} |")


def _seconds(visits: tuple[Visit, ...]) -> float:
    return statistics.median(visit.seconds for visit in visits)


if __name__ == "__main__":
    main()
