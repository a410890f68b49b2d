"""Consistency of locks, constraints and ``pyproject.toml``, checked offline."""

import tomllib
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from supply_chain.lock import LOCKS, SERVERS, STACK, TOOLS, TORCH, TORCH_BUILDS, Lock
from supply_chain.requirements import SHA256, LockError, Pins, read

PROJECT = canonicalize_name("snap2caption")
REMEDY = "run `make lock`"

Extras = dict[str, list[Requirement]]
"""The requirements of each extra of ``pyproject.toml``. The empty name stands for the requirements of all parts."""


def disagreements(root: Path) -> list[str]:
    """Return a sentence for each inconsistency in the project at *root*, or an empty list."""
    try:
        return [*_disagreements(root)]
    except LockError as error:
        return [str(error)]


def _disagreements(root: Path) -> Iterable[str]:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    declared = {"": project["project"]["dependencies"], **project["project"]["optional-dependencies"]}
    extras = {name: [Requirement(text) for text in texts] for name, texts in declared.items()}
    constraints = read(root / "constraints.txt")
    names = [*(lock.name for lock in LOCKS), *TORCH_BUILDS, *(f"{name}.txt" for name in (*TOOLS, *STACK))]
    locks = {name: read(root / "locks" / name) for name in names}
    servers = {server.lock: read(root / "locks" / server.lock) for server in SERVERS}

    for name, pins in (locks | servers).items():
        yield from _hashes(name, pins)
    for name, pins in locks.items():
        # torch chooses the CUDA libraries.
        ours = {package: pin for package, pin in pins.items() if name not in TORCH_BUILDS or package == TORCH}
        yield from _versions(name, ours, "constraints.txt", constraints)
    for server in SERVERS:
        yield from _versions(server.lock, servers[server.lock], server.constraints, read(root / server.constraints))

    everything = {package for pins in locks.values() for package in pins}
    for name in constraints.keys() - everything:
        yield f"constraints.txt pins {name}, which nothing needs; take it out."
    for extra, requirements in extras.items():
        for name in {canonicalize_name(requirement.name) for requirement in requirements} - everything - {PROJECT}:
            yield f"No lock has {name}, which [{extra or 'dependencies'}] of pyproject.toml asks for; {REMEDY}."
    for lock in LOCKS:
        yield from _coverage(lock, locks, extras)
    yield from _build(project["build-system"]["requires"], constraints)


def _hashes(where: str, pins: Pins) -> Iterable[str]:
    for pin in pins.values():
        if not pin.hashes or not all(SHA256.fullmatch(digest) for digest in pin.hashes):
            yield f"locks/{where} has no SHA-256 of {pin.name}; {REMEDY}."


def _versions(where: str, pins: Pins, constrained: str, constraints: Pins) -> Iterable[str]:
    for name, pin in pins.items():
        if name not in constraints:
            yield (
                f"locks/{where} has {name} {pin.version}, which {constrained} does not pin; "
                f"add {name}=={pin.version} there."
            )
        elif constraints[name].version != pin.version:
            yield f"locks/{where} has {name} {pin.version}, {constrained} {constraints[name].version}; {REMEDY}."


def _coverage(lock: Lock, locks: dict[str, Pins], extras: Extras) -> Iterable[str]:
    """Yield the differences between a lock and its extra on this machine, by the metadata of the installed packages."""
    own = locks[lock.name]
    pins = own | locks[TORCH_BUILDS[0]] | (locks[f"{lock.base}.txt"] if lock.base else {})
    needed, whole = _closure([*extras[""], *extras[lock.extra]], extras)
    for name, requirements in needed.items():
        if name not in pins:
            yield f"locks/{lock.name} lacks {name}, which [{lock.extra}] needs here; {REMEDY}."
            continue
        for wanted in requirements:
            if not wanted.specifier.contains(pins[name].version, prereleases=True):
                yield (
                    f"locks/{lock.name} has {pins[name].version} where {wanted} is needed; "
                    f"change constraints.txt, then {REMEDY}."
                )
    for name, pin in own.items():
        if whole and not pin.marker and name not in needed:
            yield f"locks/{lock.name} has {name}, which [{lock.extra}] does not need; {REMEDY}."


def _closure(asked: Iterable[Requirement], extras: Extras) -> tuple[dict[NormalizedName, list[Requirement]], bool]:
    """Return the transitive requirements of *asked*, and whether the result is complete.

    It is complete if all packages in it are installed.
    """
    needed: dict[NormalizedName, list[Requirement]] = {}
    whole = True
    waiting = [(requirement, "") for requirement in asked]
    seen: set[tuple[NormalizedName, str]] = set()
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        if name != PROJECT:
            needed.setdefault(name, []).append(requirement)
        for wanted in {(name, each) for each in ("", *requirement.extras)} - seen:
            seen.add(wanted)
            if name == PROJECT:
                waiting += [(each, "") for each in extras[wanted[1]]]
                continue
            requirements = _required(name)
            whole = whole and requirements is not None
            waiting += [(each, wanted[1]) for each in requirements or ()]
    return needed, whole


@cache
def _required(name: NormalizedName) -> tuple[Requirement, ...] | None:
    """Return the requirements that the installed package *name* states, or None if it is not installed."""
    try:
        return tuple(Requirement(text) for text in distribution(name).requires or ())
    except PackageNotFoundError:
        return None


def _build(requires: Iterable[str], constraints: Pins) -> Iterable[str]:
    for text in requires:
        requirement = Requirement(text)
        pin = constraints.get(canonicalize_name(requirement.name))
        if pin is None or str(requirement.specifier) != f"=={pin.version}":
            yield (
                f"[build-system] of pyproject.toml asks for {text}; "
                "ask for exactly the version that constraints.txt pins."
            )
