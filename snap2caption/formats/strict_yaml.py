"""Strict YAML: the core schema of YAML 1.2 without ambiguous values, within limits that no recipe comes near.

YAML 1.1, which PyYAML follows, reads ``1:30`` as 90, ``010`` as 8, ``1_000`` as 1000, ``no`` as false and ``1e-3``
as a string. Here a number is written as in JSON (a leading sign, or a dot without digits on one side, is accepted
too), ``true`` and ``false`` are the only booleans, ``null`` and ``~`` are null, and everything else is a string, as
is anything in quotes. Source: YAML 1.2.2, section 10.3.
"""

import re
from typing import Any

import yaml

MOST_LEVELS = 16
"""Maximum nesting of lists and mappings; recipes have three levels."""

MOST_VALUES = 10_000
"""Maximum number of values, with aliases expanded: a few lines of aliases to aliases would be billions."""

_TAG = "tag:yaml.org,2002:"
_WHOLE = "(?:0|[1-9][0-9]*)"
_RESOLVERS = (
    # Each with the characters that it may begin with.
    ("null", "~|null|Null|NULL|", ("~", "n", "N", "")),
    ("bool", "true|True|TRUE|false|False|FALSE", "tTfF"),
    # No setting has more digits, and Python refuses to read an integer of thousands.
    ("int", "[-+]?(?:0|[1-9][0-9]{0,17})", "-+0123456789"),
    (
        "float",
        rf"[-+]?(?:\.[0-9]+|{_WHOLE}\.[0-9]*|{_WHOLE}(?=[eE]))(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("merge", "<<", "<"),
)


class _Loader(yaml.SafeLoader):
    """Loader of one document that rejects duplicate keys, since the second would silently replace the first."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        # The level of the current value, the deepest level so far, and the number of values so far.
        self._level = self._deepest = self._values = 0
        # For each anchor: its number of values, and of levels.
        self._anchored: dict[str, tuple[int, int]] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a value, within the limits.

        Raises:
            yaml.MarkedYAMLError: there are too many values or levels, a tag, or a value that contains itself.
        """
        event: Any = self.peek_event()  # type: ignore[no-untyped-call] # the stubs leave it out
        is_alias = isinstance(event, yaml.AliasEvent)
        if not is_alias and event.tag is not None:
            raise _error(f"{event.tag} is a tag, which no setting needs", event)
        if is_alias and event.anchor in self.anchors and event.anchor not in self._anchored:
            raise _error(f"*{event.anchor} stands within what it stands for", event)
        values, levels = self._anchored.get(event.anchor, (1, 1)) if is_alias else (1, 1)
        before, outer = self._values, self._deepest
        self._values += values
        self._deepest = self._level + levels
        if self._values > MOST_VALUES:
            raise _error(f"it holds more than {MOST_VALUES:,} values, aliases counted", event)
        if self._deepest > MOST_LEVELS:
            raise _error(f"it is nested more than {MOST_LEVELS} levels deep", event)
        self._level += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self._level -= 1
        if event.anchor is not None and not is_alias:
            self._anchored[event.anchor] = (self._values - before, self._deepest - self._level)
        self._deepest = max(outer, self._deepest)
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Compose a mapping.

        Raises:
            yaml.MarkedYAMLError: a key is repeated, or is not a string.
        """
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag not in {f"{_TAG}str", f"{_TAG}merge"}:
                raise yaml.MarkedYAMLError(problem="a key is no text", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value} stands twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return node


class _Dumper(yaml.SafeDumper):
    """Dumper that quotes every string that either version of YAML would read as something else."""


# Drop PyYAML's resolvers, which follow YAML 1.1.
_Loader.yaml_implicit_resolvers = {}
for _name, _pattern, _first in _RESOLVERS:
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(f"{_TAG}{_name}", re.compile(rf"(?:{_pattern})\Z"), _first)


def load(text: str) -> Any:
    """Return the content of the document *text*; None if it is empty.

    Raises:
        yaml.YAMLError: it is not YAML, repeats a key, or exceeds the limits.
    """
    return yaml.load(text, _Loader)  # noqa: S506 - a safe loader


def dump(content: Any) -> str:
    """Return JSON-compatible *content* as a document that `load` and YAML 1.1 parsers read back unchanged."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def _error(problem: str, event: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
