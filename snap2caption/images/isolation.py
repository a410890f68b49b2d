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
"""The module that decodes one photo."""

ISOLATED = frozenset({"HEIC", "AVIF"})
"""Formats that are decoded here, by their names in `snap2caption.formats.file_signatures`."""

_SECONDS = 30
"""Processor time in seconds. A photo of 48 megapixels takes two."""

_MEMORY = 512 * 2**20
"""Bytes of address space in addition to the pixels: for Python, the libraries and the file."""

_PIXEL = 24
"""The most bytes that a decoded pixel takes: 16-bit planes, their tiles, 8 bits per channel, Pillow's copy and a
rotated copy.
"""


def decode_isolated(data: bytes, max_pixels: int, max_side: int | None, name: str) -> Image.Image:
    """Decode a photo in one of the `ISOLATED` formats in another process; otherwise like
    `snap2caption.images.decode`.
    """
    memory = _MEMORY + _PIXEL * max_pixels
    # The worker gets none of our environment, so that a decoder of untrusted bytes knows no secrets. It uses one
    # malloc arena, because each thread's arena takes address space.
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
