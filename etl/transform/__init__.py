"""Transform: corpus zip in, dataset version out, straight from the archive."""

from etl.transform.pipeline import DEFAULT_CITIES, transform

__all__ = ["DEFAULT_CITIES", "transform"]
