"""Values of the state, as both databases can keep them."""


def without_nul(text: str) -> str:
    """Return *text* without the one character that PostgreSQL's texts can't have, and that nobody sees."""
    return text.replace("\0", "")
