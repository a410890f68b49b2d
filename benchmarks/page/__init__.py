"""The web page's speed next to a peer's."""
