"""Out-of-distribution detection: how far a photo's vision features are from those of the pictures that a model knows.

The score adds two nearest-neighbor distances: of the photo as a whole (Sun et al., ICML 2022), and of its patches
(Roth et al., CVPR 2022), which finds textures that no training picture has.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from snap2caption.errors import UserError

if TYPE_CHECKING:
    import torch

REFERENCE = "out_of_distribution.safetensors"
"""The file with a reference, in the folder of a base or of an adapter."""

_SHRINKAGE = 1e-3
"""Added to the eigenvalues of the patches' covariance, relative to their mean."""


@dataclass(frozen=True, slots=True, eq=False)
class FeatureReference:
    """Vision features of training pictures: *n* pictures and *m* of their patches, of width *w*.

    All tensors are in 32 bits, and without the class token.
    """

    center: "torch.Tensor"
    """(w,): the mean of the patches."""
    whitening: "torch.Tensor"
    """(w, w): whitens centered patches."""
    patches: "torch.Tensor"
    """(m, w): whitened patches."""
    spread: "torch.Tensor"
    """(w,): the standard deviation of the pictures' mean patches."""
    pictures: "torch.Tensor"
    """(n, w): each picture's centered mean patch, divided by the spread."""
    weights: "torch.Tensor"
    """(2,): the weights of both distances. With them, 1 is the threshold."""

    def distances(self, features: "torch.Tensor") -> "torch.Tensor":
        """Return the distance of whole pictures, and the mean distance of their patches, of shape (pictures, 2).

        *features* are those of `snap2caption.vlm.VisionFeatures.patches`, of shape (pictures, patches, w).
        """
        import torch

        centered = features.float().cpu() - self.center
        whole = torch.cdist(centered.mean(1) / self.spread, self.pictures).amin(1)
        flat = (centered @ self.whitening).flatten(0, 1)
        nearest = torch.cdist(flat, self.patches).amin(1).view(centered.shape[:2])
        return torch.stack([whole, nearest.mean(1)], 1)

    def scores(self, features: "torch.Tensor") -> list[float]:
        """Return each picture's score. Above 1, the picture is unlike the training pictures."""
        scores: list[float] = (self.distances(features) @ self.weights).tolist()
        return scores

    def save(self, folder: Path) -> None:
        """Save the reference in *folder*, with features in 16 bits."""
        from safetensors.torch import save_file

        tensors = {
            "center": self.center,
            "whitening": self.whitening,
            "patches": self.patches.half(),
            "spread": self.spread,
            "pictures": self.pictures.half(),
            "weights": self.weights,
        }
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / REFERENCE)


def load_reference(folder: Path) -> FeatureReference | None:
    """Return the reference in *folder*, or None if it holds none.

    Raises:
        UserError: the file is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    file = folder / REFERENCE
    if not file.is_file():
        return None
    try:
        return FeatureReference(**{name: tensor.float() for name, tensor in load_file(file).items()})
    except (SafetensorError, TypeError, OSError) as error:
        raise UserError(f"{file} is damaged ({error}); restore it, or remove it to serve without it.") from error


def fit_reference(
    features: "torch.Tensor", calibration: "torch.Tensor", *, share: float, seed: int
) -> FeatureReference:
    """Return the reference of training pictures, with one patch of each, and the threshold of *calibration*.

    Args:
        features: features of training pictures, of shape (n, patches, w).
        calibration: features of other pictures of the same kind.
        share: the share of the calibration pictures that is at most at the threshold.
        seed: draws the patches.
    """
    import torch

    center = features.flatten(0, 1).mean(0)
    centered = features - center
    values, vectors = torch.linalg.eigh(torch.cov(centered.flatten(0, 1).T))
    values = values.clamp(min=0)
    whitening = vectors / (values + _SHRINKAGE * values.mean()).sqrt()
    drawn = torch.randint(features.shape[1], (len(features),), generator=torch.Generator().manual_seed(seed))
    patches = centered[torch.arange(len(features)), drawn] @ whitening
    pooled = centered.mean(1)
    spread = pooled.std(0)
    unscaled = FeatureReference(center, whitening, patches, spread, pooled / spread, torch.ones(2))
    distances = unscaled.distances(calibration)
    weights = 1 / distances.std(0)
    weights = weights / torch.quantile(distances @ weights, share)
    return FeatureReference(center, whitening, patches, spread, unscaled.pictures, weights)
