"""Real photographs that the packages of our test environment ship."""

from pathlib import Path

import matplotlib as mpl
import skimage
import sklearn

_SKIMAGE = (
    "astronaut.png", "brick.png", "camera.png", "cell.png", "chelsea.png", "clock_motion.png", "coffee.png", "coins.png", "grass.png",
    "gravel.png", "hubble_deep_field.jpg", "ihc.png", "microaneurysms.png", "moon.png", "motorcycle_left.png", "motorcycle_right.png",
    "page.png", "retina.jpg", "rocket.jpg", "text.png",
)  # fmt: skip


def real_photos() -> list[Path]:
    """Return the photographs' paths: JPEG and PNG, gray and color, 102x102 to 1411x1411."""
    found = [Path(skimage.__file__).parent / "data" / name for name in _SKIMAGE]
    found += [Path(sklearn.__file__).parent / "datasets" / "images" / name for name in ("china.jpg", "flower.jpg")]
    found.append(Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg")
    return found
