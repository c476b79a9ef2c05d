"""Sizes and names that keep every stop of a reading tour on one screen."""

import ast
import re

import pytest

from tests.architecture.source_tree import ROOT, Function, Source, is_decorated, parsed, sources

_LINES, _LINES_OF_TESTS = 350, 500
_FUNCTION_LINES = 45
_PARAMETERS = 6
_PUBLIC_METHODS = 12
_ROLE_NAMES = {"utils", "util", "helpers", "common", "misc", "base", "core", "manager", "types", "service", "services"}
_LEFTOVERS = re.compile(r"\b(TODO|FIXME|HACK|TEMPORARY)\b")
_BANNER = re.compile(r"^\s*#\s*([-=*#~_]{4,}|.*[-=*#~_]{6,}\s*$)", re.MULTILINE)
# The order as nodes see it: one object by design, with a verb for each thing a node may want.
_WIDE = {"workflows/order/course.py:Course"}


def too_long(source: Source) -> bool:
    return source.lines > (_LINES_OF_TESTS if source.package == "tests" else _LINES)


def long_functions(source: Source) -> list[str]:
    return [
        f"{source.path}:{one.lineno} {one.name} has {_length(one)} lines"
        for one in source.functions()
        if _length(one) > _FUNCTION_LINES
    ]


def crowded_functions(source: Source) -> list[str]:
    # A factory of tests stands in for a constructor, and a constructor takes what its object is made of.
    if source.path.startswith("tests/factories/"):
        return []
    found = [(one, len(_parameters(one))) for one in source.functions() if one.name != "__init__"]
    return [f"{source.path}:{one.lineno} {one.name} takes {count}" for one, count in found if count > _PARAMETERS]


def wide_classes(source: Source) -> list[str]:
    # A fake stands in for several classes at once, so its width is theirs.
    if source.path.startswith("tests/fakes/"):
        return []
    found = [(one, sum(_is_public(item) for item in one.body)) for one in source.classes()]
    return [f"{source.path}:{one.name}" for one, count in found if count > _PUBLIC_METHODS]


def test_no_file_is_longer_than_its_budget() -> None:
    assert [f"{source.path} has {source.lines} lines" for source in sources() if too_long(source)] == []


def test_no_function_is_longer_than_its_budget() -> None:
    assert [line for source in sources() for line in long_functions(source)] == []


def test_no_function_takes_more_than_its_budget() -> None:
    assert [line for source in sources() for line in crowded_functions(source)] == []


def test_no_class_offers_more_than_its_budget() -> None:
    assert {line for source in sources() for line in wide_classes(source)} - _WIDE == set()


def test_the_story_of_an_order_fits_on_a_screen() -> None:
    (workflow,) = [source for source in sources("workflows") if source.path == "workflows/order/workflow.py"]
    (story,) = [one for one in workflow.functions() if one.name == "_fulfil"]
    assert _length(story) <= 40


def test_no_module_is_named_after_a_role() -> None:
    names = {part.removesuffix(".py") for source in sources() for part in source.path.split("/")}
    assert names & _ROLE_NAMES == set()


def test_nothing_is_left_for_later() -> None:
    written = [(source.path, source.text) for source in sources()] + _plain_files()
    # This file names the words that it looks for.
    written = [(path, text) for path, text in written if path != "tests/architecture/test_budgets.py"]
    found = [
        f"{path}:{at} {word.group()}"
        for path, text in written
        for at, line in enumerate(text.splitlines(), start=1)
        if (word := _LEFTOVERS.search(line))
    ]
    assert found == []


def test_no_comment_is_a_banner() -> None:
    assert [source.path for source in sources() if _BANNER.search(source.text)] == []


def test_every_file_of_some_size_says_what_it_is_for() -> None:
    large = [source for source in sources() if source.package != "tests" and source.lines > 40]
    assert [source.path for source in large if ast.get_docstring(source.tree) is None] == []


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (long_functions, "def much():\n" + "    pass\n" * 50),
        (crowded_functions, "def much(a, b, c, *, d, e, f, g): ..."),
        (wide_classes, "class Much:\n" + "".join(f"    def m{n}(self): ...\n" for n in range(13))),
    ],
)
def test_a_budget_that_is_broken_is_noticed(check: object, text: str) -> None:
    assert callable(check)
    assert len(check(parsed("domain/much.py", text))) == 1


def _length(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def _parameters(function: Function) -> list[str]:
    # What a command or a route takes is its interface, spelled out for the framework that reads it.
    if any("router." in ast.unparse(one) for one in function.decorator_list) or _is_command(function):
        return []
    given = function.args
    names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


def _is_command(function: Function) -> bool:
    return any("typer." in ast.unparse(one.annotation) for one in function.args.args if one.annotation is not None)


def _is_public(item: ast.stmt) -> bool:
    return isinstance(item, Function) and not item.name.startswith("_") and not is_decorated(item, "property")


def _plain_files() -> list[tuple[str, str]]:
    kinds = (
        "*.md",
        "*.toml",
        "*.yml",
        "docs/**/*.md",
        "flows/*.yaml",
        "api/**/*.typ",
        "console/templates/**/*.html",
        "console/static/*.js",
        "migrations/**/*.py",
        ".ci/*",
    )
    found = sorted({file for kind in kinds for file in ROOT.glob(kind) if file.is_file()})
    return [(file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8")) for file in found]
