"""What every part of Snap2Caption shares: the shape of a post, the object store, the registry, settings, the command line."""

from snap2caption.telemetry import switch_off

switch_off()
