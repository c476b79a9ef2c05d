"""What architecture tests look at: the project's own files, parsed once."""

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
PACKAGES = tuple(sorted(folder.name for folder in ROOT.iterdir() if (folder / "__init__.py").is_file()))
"""Our own top-level packages; tests are none."""

_LAYERS = (
    "domain",
    "runtime",
    "models",
    "store",
    "integrations",
    "activities",
    "workflows",
    "sandbox",
    "api",
    "importing",
    "console",
    "workers",
    "cli",
)
_WRITTEN_BY_TOOLS = ("migrations/versions",)

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One Python file; `path` is relative to the project's root."""

    path: str
    text: str
    tree: ast.Module

    @property
    def package(self) -> str:
        return self.path.partition("/")[0]

    @property
    def lines(self) -> int:
        return len(self.text.splitlines())

    def functions(self) -> Iterator[Function]:
        """Every function of the file, methods and inner ones included."""
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))

    def classes(self) -> Iterator[ast.ClassDef]:
        """Every class of the file."""
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef))

    def calls(self) -> Iterator[ast.Call]:
        """Every call in the file."""
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.Call))


def parsed(path: str, text: str) -> Source:
    """The text as if it lay at `path`."""
    return Source(path, text, ast.parse(text))


@cache
def _sources_of(package: str) -> tuple[Source, ...]:
    files = sorted((ROOT / package).rglob("*.py"))
    paths = (file.relative_to(ROOT).as_posix() for file in files)
    return tuple(
        parsed(path, (ROOT / path).read_text(encoding="utf-8"))
        for path in paths
        if not path.startswith(_WRITTEN_BY_TOOLS)
    )


def sources(*packages: str) -> list[Source]:
    """The files of these packages (none named: of all, tests included), without what tools have written."""
    named = packages or (*PACKAGES, "tests")
    return [source for package in named for source in _sources_of(package)]


@cache
def imported_modules() -> tuple[ModuleType, ...]:
    """Every module of the layers, imported: afterwards all classes that exist are known to their bases."""
    found = []
    for layer in _LAYERS:
        package = importlib.import_module(layer)
        names = (module.name for module in pkgutil.walk_packages(package.__path__, f"{layer}."))
        found += [package, *(importlib.import_module(name) for name in names)]
    return tuple(found)


def is_decorated(node: Function | ast.ClassDef, with_what: str) -> bool:
    """Whether one of the decorators reads like `with_what`, called or not."""
    decorators = (one.func if isinstance(one, ast.Call) else one for one in node.decorator_list)
    return any(ast.unparse(one) == with_what for one in decorators)


def texts_in(node: ast.AST) -> Iterator[str]:
    """Every string constant within the node."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            yield inner.value
