"""Shared core of Snap2Caption: posts, hashtags, object stores, datasets, the model registry, settings, the command
line.
"""

from snap2caption.runtime.telemetry import switch_off

switch_off()
