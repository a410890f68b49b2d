"""The embedded services: one place that knows how to start them on free loopback ports, wait for them, and stop them."""

from demo.stack.stack import Services, Stack

__all__ = ["Services", "Stack"]
