"""Process isolation for HEIC and AVIF decoding, with limits that the operating system enforces.

A file of a few kilobytes may claim a small size in its container and make its codec fill gigabytes, and bugs in
video codecs have let files crash or take over a process. So its cost is bounded from outside, whatever the file
says: memory, processor time, and access.
"""

import json
import subprocess
import sys
from pathlib import Path

from PIL import Image

from snap2caption.images.errors import ImageError

WORKER = "snap2caption.images.worker"
"""The program that decodes one photo."""

ISOLATED = frozenset({"HEIC", "AVIF"})
"""Formats that are decoded here, as `snap2caption.file_signatures` calls them."""

_SECONDS = 30
"""Of processor time. A photo of 48 megapixels takes two."""

_MEMORY = 512 * 2**20
"""Bytes of address space beside what pixels take: Python, the libraries, the file."""

_PIXEL = 24
"""Bytes that a decoded pixel takes at most: planes of 16 bits, their tiles, 8 bits a channel, Pillow's own copy, and a turned one."""


def decode_isolated(data: bytes, max_pixels: int, max_side: int | None, name: str) -> Image.Image:
    """Decode a photo in one of the `ISOLATED` formats in another process; otherwise like
    `snap2caption.images.decode`.
    """
    memory = _MEMORY + _PIXEL * max_pixels
    # Of our environment nothing: what decodes strangers' bytes knows none of our secrets. One pool of memory, as each thread's takes address space.
    run = subprocess.run(
        [sys.executable, "-P", "-s", "-m", WORKER, *map(str, (max_pixels, max_side or 0, name, memory, _SECONDS))],
        input=data,
        capture_output=True,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "MALLOC_ARENA_MAX": "1"},
        check=False,
    )
    head, _, pixels = run.stdout.partition(b"\n")
    if run.returncode or not head:
        raise ImageError(
            "truncated", f"{name} is damaged, or takes too much to decode; save it as JPEG, and send that."
        )
    answer = json.loads(head)
    if "reason" in answer:
        raise ImageError(answer["reason"], answer["message"])
    return Image.frombytes("RGB", tuple(answer["size"]), pixels)
