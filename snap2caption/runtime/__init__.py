"""Process-wide settings, made before large libraries are loaded: OpenMP, garbage collection, telemetry."""
