"""The demo base: a small LLaVA-architecture model that knows plain language and the look of rendered city scenes.

Its weights are shipped in ``models/demo-base``; `python -m demo.base` makes them again from nothing.
"""
