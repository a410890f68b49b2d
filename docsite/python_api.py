"""Python API reference: the documented modules, and their pages, which mkdocstrings fills from docstrings."""

import ast
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

PAGES = {
    "client.md": ("Python client", ["serving.client", "serving.http.schemas"]),
    "engine.md": ("Engine interface", ["serving.engines.base", "serving.engines.factory"]),
    "recipe.md": (
        "Training recipe",
        ["training.recipes.recipe", "training.recipes.sections", "training.recipes.loading"],
    ),
}
"""Title and modules of each page about a part of the project."""

LIBRARY = "snap2caption"
PACKAGES = {"hashtags": "Hashtags", "images": "Images", "store": "Object store"}
"""Packages of the library with a page of their own, and its title. All other modules share one page."""


def python_pages(root: Path) -> dict[str, str]:
    """Return the Markdown of each page by file name."""
    pages = dict(PAGES)
    for package, title in PACKAGES.items():
        pages[f"{package}.md"] = (title, [*_modules(root, root / LIBRARY / package)])
    paged = {module for _, modules in pages.values() for module in modules}
    others = [module for module in _modules(root, root / LIBRARY) if module not in paged | {LIBRARY}]
    pages[f"{LIBRARY}.md"] = ("Shared modules", others)
    return {name: "\n".join(_page(root, title, modules)) for name, (title, modules) in pages.items()}


def _modules(root: Path, folder: Path) -> Iterator[str]:
    """Yield the name of each module under *folder*, packages before their modules."""
    for path in sorted(folder.rglob("*.py"), key=lambda path: (path.parent, path.stem != "__init__", path.stem)):
        if path.stem == "__main__":
            continue
        parts = path.relative_to(root).with_suffix("").parts
        yield ".".join(parts[:-1] if path.stem == "__init__" else parts)


def _page(root: Path, title: str, modules: list[str]) -> Iterator[str]:
    yield from (f"# {title}", "")
    for module in modules:
        yield f"::: {module}"
        package = root.joinpath(*module.split("."), "__init__.py")
        if package.exists():
            # Names that it imports are on the page already, under the modules that define them.
            members = [*_definitions(package)]
            yield from ("    options:", f"      members: {members or 'false'}")
        yield ""
    # A cached build skips pages whose text is unchanged, so the text must change with the code.
    yield f"<!-- {_digest(root, modules)} -->"


def _digest(root: Path, modules: list[str]) -> str:
    paths = [root.joinpath(*module.split(".")) for module in modules]
    files = [path / "__init__.py" if path.is_dir() else path.with_suffix(".py") for path in paths]
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _definitions(path: Path) -> Iterator[str]:
    """Yield the public functions and classes that the module at *path* defines."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node.name
