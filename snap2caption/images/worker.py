"""Worker process of isolated decoding: reads one photo, writes its pixels, within limits that the operating system
enforces.
"""

import json
import sys
from collections.abc import Sequence

from snap2caption.images.decoding import decode_here
from snap2caption.images.errors import ImageError

_PILLOW_FORMATS = ("AVIF", "HEIF")


def _main(arguments: Sequence[str]) -> None:
    """Decode the input, and write its size as one line of JSON and then its pixels; or the reason of a refusal."""
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
