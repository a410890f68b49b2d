"""Strict YAML: the core schema of YAML 1.2 without what can be read in two ways, within limits that no recipe comes near.

YAML 1.1, which PyYAML follows, takes ``1:30`` for 90, ``010`` for 8, ``1_000`` for 1000, ``no`` for false and ``1e-3`` for a text. Here a number is
one as JSON writes it (a sign or a bare point more is taken), ``true`` and ``false`` are the only switches, ``null`` and ``~`` are null, and
all else is text, as is whatever stands in quotes. Source: YAML 1.2.2, section 10.3.
"""

import re
from typing import Any

import yaml

MOST_LEVELS = 16
"""Levels of lists and mappings within each other; recipes have three."""

MOST_VALUES = 10_000
"""Values in all, what an alias stands for counted each time: a few lines of aliases to aliases would be billions."""

_TAG = "tag:yaml.org,2002:"
_WHOLE = "(?:0|[1-9][0-9]*)"
_RESOLVERS = (
    # Each with what it may begin with.
    ("null", "~|null|Null|NULL|", ("~", "n", "N", "")),
    ("bool", "true|True|TRUE|false|False|FALSE", "tTfF"),
    # A number of more digits would be no setting's, and Python refuses to read one of thousands.
    ("int", "[-+]?(?:0|[1-9][0-9]{0,17})", "-+0123456789"),
    (
        "float",
        rf"[-+]?(?:\.[0-9]+|{_WHOLE}\.[0-9]*|{_WHOLE}(?=[eE]))(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("merge", "<<", "<"),
)


class _Loader(yaml.SafeLoader):
    """Loads one document, in which no key stands twice in a mapping: the second would silently replace the first."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        # Of the value that is being composed: its level, the deepest one so far, and how many values there are so far.
        self._level = self._deepest = self._values = 0
        # Of each anchor: how many values it has, and how many levels.
        self._anchored: dict[str, tuple[int, int]] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a value, within the limits.

        Raises:
            yaml.MarkedYAMLError: there are too many values or levels, a tag, or a value that holds itself.
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
            yaml.MarkedYAMLError: a key stands twice, or is no text.
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
    """Puts in quotes what either version of YAML would take for something else than a text."""


# None of the readers' of YAML 1.1.
_Loader.yaml_implicit_resolvers = {}
for _name, _pattern, _first in _RESOLVERS:
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(f"{_TAG}{_name}", re.compile(rf"(?:{_pattern})\Z"), _first)


def load(text: str) -> Any:
    """Return what the document *text* holds; None if it holds nothing.

    Raises:
        yaml.YAMLError: it is not YAML, says something twice, or is beyond the limits.
    """
    return yaml.load(text, _Loader)  # noqa: S506 - a safe loader


def dump(content: Any) -> str:
    """Return *content*, which JSON can hold, as a document that `load`, and readers of YAML 1.1, read back the same."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def _error(problem: str, event: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
