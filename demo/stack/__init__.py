"""Embedded services: start on free loopback ports, readiness, shutdown."""

from demo.stack.stack import Services, Stack

__all__ = ["Services", "Stack"]
