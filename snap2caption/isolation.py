"""Decoding HEIC and AVIF in a process of its own, with limits that the operating system keeps.

A file of some kilobytes may say that it is small in its container and have its codec fill gigabytes, and video codecs have had faults that end a
process or hand it over. So what they can cost is bounded from outside, whatever a file says: memory, processor time, and what they can reach.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from snap2caption.images import ImageError, decode_here

if TYPE_CHECKING:
    from collections.abc import Sequence

ISOLATED = frozenset({"HEIC", "AVIF"})
"""Formats that are decoded here, as `snap2caption.formats` calls them."""

_PILLOW_FORMATS = ("AVIF", "HEIF")

_SECONDS = 30
"""Of processor time. A photo of 48 megapixels takes two."""

_MEMORY = 512 * 2**20
"""Bytes of address space beside what pixels take: Python, the libraries, the file."""

_PIXEL = 24
"""Bytes that a decoded pixel takes at most: planes of 16 bits, their tiles, 8 bits a channel, Pillow's own copy, and a turned one."""


def decode_isolated(data: bytes, max_pixels: int, max_side: int | None, name: str) -> Image.Image:
    """Decode a photo in one of `ISOLATED` formats in another process; otherwise as `snap2caption.images.decode`."""
    memory = _MEMORY + _PIXEL * max_pixels
    # Of our environment nothing: what decodes strangers' bytes knows none of our secrets. One pool of memory, as each thread's takes address space.
    run = subprocess.run(
        [sys.executable, "-P", "-s", "-m", __name__, *map(str, (max_pixels, max_side or 0, name, memory, _SECONDS))],
        input=data,
        capture_output=True,
        env={"PYTHONPATH": str(Path(__file__).parents[1]), "MALLOC_ARENA_MAX": "1"},
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


def _main(arguments: "Sequence[str]") -> None:
    """Decode what comes in, and write the size as JSON in a line, then the pixels; or the reason of a refusal."""
    import resource

    name = arguments[2]
    max_pixels, max_side, memory, seconds = (int(arguments[place]) for place in (0, 1, 3, 4))
    data = sys.stdin.buffer.read()
    limits = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
    }
    for what, most in limits.items():
        resource.setrlimit(what, (most, most))

    import pi_heif
    from PIL import AvifImagePlugin

    pi_heif.register_heif_opener(decode_threads=1)
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    out = sys.stdout.buffer
    try:
        image = decode_here(data, _PILLOW_FORMATS, max_pixels, max_side or None, name)
    except ImageError as error:
        out.write(json.dumps({"reason": error.reason, "message": str(error)}).encode() + b"\n")
        return
    out.write(json.dumps({"size": image.size}).encode() + b"\n" + image.tobytes())


if __name__ == "__main__":
    _main(sys.argv[1:])
