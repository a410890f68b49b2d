"""Deferred imports: transformers' models without the packages that only training and compilation call.

transformers imports PyTorch's compiler, its distributed tensors, SciPy and accelerate with each model, although
captioning calls none of them. That is half of the time in which a command starts. Within `defer_imports`, stand-ins
take their places. What is called later loads the real package then.
"""

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_COMPILER = "torch._dynamo"
_DEFERRED = (
    _COMPILER,
    "torch.distributed._composable",
    "torch.distributed.checkpoint",
    "torch.distributed.fsdp",
    "torch.distributed.tensor",
    "accelerate",
    "scipy",
    "sklearn",
)


@contextmanager
def defer_imports() -> Iterator[None]:
    """Put stand-ins in the places of the packages that were not imported before, until the context ends."""
    finder = _StandInFinder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for module in finder.made:
            sys.modules.pop(module.__name__, None)
            parent, _, child = module.__name__.rpartition(".")
            holder = vars(sys.modules[parent]) if parent in sys.modules else {}
            if holder.get(child) is module:
                delattr(sys.modules[parent], child)


class _StandInFinder(MetaPathFinder, Loader):
    """Finds a stand-in for each deferred package and its modules."""

    def __init__(self) -> None:
        self.made: list[ModuleType] = []

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        del path, target
        deferred = any(name == package or name.startswith(f"{package}.") for package in _DEFERRED)
        return ModuleSpec(name, self, is_package=True) if deferred else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = _StandInModule(spec.name)
        self.made.append(module)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Leave *module* empty: its names are made when they are asked for."""


class _StandInModule(ModuleType):
    """A package that is not imported: whatever is taken from it is a stand-in."""

    def __getattr__(self, name: str) -> "_StandIn":
        if name.startswith("__"):
            raise AttributeError(name)
        return _StandIn(name, (), {"_module": self.__name__})


class _StandIn(type):
    """A class or function of a package that is not imported. Nothing is an instance of it before the package is."""

    _module: str

    def __instancecheck__(cls, instance: object) -> bool:
        module = sys.modules.get(cls._module)
        return (
            module is not None
            and not isinstance(module, _StandInModule)
            and isinstance(instance, getattr(module, cls.__name__))
        )

    def __call__(cls, *arguments: Any, **options: Any) -> Any:
        if isinstance(sys.modules.get(cls._module), _StandInModule):
            # It is called while a module is imported.
            if cls._module == _COMPILER:
                # As a decorator that tells the compiler of a function.
                return arguments[0] if arguments and callable(arguments[0]) else lambda function: function
            # As an entry of a table, which only a distributed model looks up.
            return None
        return cls._real()(*arguments, **options)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(cls._real(), name)

    def _real(cls) -> Any:
        return getattr(importlib.import_module(cls._module), cls.__name__)
