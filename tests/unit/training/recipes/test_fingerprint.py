from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel

from training.recipes.fingerprint import COUNT_WITH_PATIENCE, ELSEWHERE, WEIGHTS, fingerprint
from training.recipes.recipe import Recipe

pytestmark = pytest.mark.unit

CONTENT: dict[str, Any] = {
    "model": {"base": "b", "lora": {"target_modules": "t"}},
    "data": {"uri": "u", "feedback": {"uri": "f", "share": 0.2}},
    "training": {"precision": "bfloat16", "early_stopping_patience": 2},
    "launcher": {"kind": "torchrun", "processes": 2},
    "gate": {"feedback": {}},
}
OTHER_VALUES = {
    "model.lora.target_modules": "other",
    "gate.confidence": 0.9,
    "gate.feedback.confidence": 0.9,
    "launcher.kind": "ray",
    "launcher.rendezvous": "node0:29400",
    "launcher.nodes": None,  # several need a rendezvous and checkpoints as well
    "launcher.address": None,  # for another kind alone
    "launcher.resources": None,
    "launcher.processes": 4,
    "data.stream": None,  # not beside feedback
}
"""Where the next best value would not do; None: none does beside the rest."""


def leaves(section: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted name and annotation of each setting."""
    for name, field in section.model_fields.items():
        kinds = [kind for kind in (field.annotation, *get_args(field.annotation)) if isinstance(kind, type)]
        inner = next((kind for kind in kinds if get_origin(kind) is None and issubclass(kind, BaseModel)), None)
        if inner is None:
            yield prefix + name, field.annotation
        else:
            yield from leaves(inner, f"{prefix}{name}.")


LEAVES = dict(leaves(Recipe))


def covers(names: frozenset[str], leaf: str) -> list[str]:
    return [name for name in names if leaf == name or leaf.startswith(f"{name}.")]


@pytest.mark.parametrize("leaf", LEAVES)
def test_each_setting_either_counts_or_does_not(leaf: str) -> None:
    assert len(covers(WEIGHTS | ELSEWHERE, leaf)) == 1, "put a new setting into one of the two sets"


def test_no_setting_is_named_that_is_none() -> None:
    for name in WEIGHTS | ELSEWHERE:
        assert any(covers(frozenset({name}), leaf) for leaf in LEAVES)
    assert COUNT_WITH_PATIENCE <= WEIGHTS


def other_value(leaf: str, value: Any) -> Any:
    """Return another value that the setting can have."""
    if leaf in OTHER_VALUES:
        return OTHER_VALUES[leaf]
    annotation = LEAVES[leaf]
    if get_origin(annotation) is Literal:
        return next(choice for choice in get_args(annotation) if choice != value and choice != "float32")
    if isinstance(value, bool):
        return not value
    if isinstance(value, float):
        return value / 2 if value else 0.5
    if isinstance(value, int):
        return value * 2 or 1
    if isinstance(value, (list, tuple)):
        return ["chicago"]
    if value is None:
        return "other" if str in get_args(annotation) or "str" in str(annotation) else 4
    return f"{value}-other"


def changed(leaf: str, content: dict[str, Any]) -> Recipe | None:
    document = Recipe.model_validate(content).model_dump(mode="json")
    section = document
    *path, last = leaf.split(".")
    for name in path:
        section = section[name]
    value = other_value(leaf, section[last])
    if value is None:
        return None
    section[last] = value
    return Recipe.model_validate(document)


def of(recipe: Recipe) -> str:
    return fingerprint(recipe, ["v1"], "r1")


@pytest.mark.parametrize("leaf", [leaf for leaf in LEAVES if OTHER_VALUES.get(leaf, "") is not None])
def test_a_setting_counts_only_if_the_weights_depend_on_it(leaf: str) -> None:
    other = changed(leaf, CONTENT)
    assert other is not None
    assert other != Recipe.model_validate(CONTENT)
    assert (of(other) != of(Recipe.model_validate(CONTENT))) is bool(covers(WEIGHTS, leaf))


@pytest.mark.parametrize("leaf", sorted(COUNT_WITH_PATIENCE))
def test_without_patience_how_often_is_measured_is_no_matter(leaf: str) -> None:
    content = CONTENT | {"training": {"precision": "bfloat16"}}
    other = changed(leaf, content)
    assert other is not None
    assert other != Recipe.model_validate(content)
    assert of(other) == of(Recipe.model_validate(content))


def test_a_stream_is_another_training_and_so_is_other_content() -> None:
    content = CONTENT | {"data": {"uri": "u"}}
    recipe = Recipe.model_validate(content)
    streamed = Recipe.model_validate(content | {"data": {"uri": "u", "stream": True}})
    assert len({of(recipe), of(streamed), fingerprint(recipe, ["v2"], "r1"), fingerprint(recipe, ["v1"], "r2")}) == 4
