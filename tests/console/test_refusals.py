"""What is wrong with a field is said in the reader's language, with the figures of the rule."""

import ast
import re
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from api.approvals.schemas import AddSigner, Decide
from api.calendars.schemas import CalendarBody
from api.errors import SITUATIONS
from api.fields import Body, Currency, Day, Moment, Text
from console.refusals import refusal
from console.words import Words, catalogue
from domain.errors import DomainError
from tests.architecture.source_tree import sources

EN, ZH = Words("en"), Words("zh")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


class Colour(StrEnum):
    RED = "red"


class One(Body):
    """A field of each kind of rule that our bodies have."""

    reason: Annotated[str, Field(min_length=2, max_length=5, pattern=r"^[a-z]*$")] = "ab"
    quantity: Annotated[int, Field(ge=1, le=9)] = 1
    version: Annotated[int, Field(strict=True, gt=0, lt=9)] = 1
    lines: Annotated[list[int], Field(min_length=1, max_length=2)] = [1]  # noqa: RUF012 - a model copies it
    choice: Literal["a", "b"] = "a"
    kind: Colour = Colour.RED
    tax: Annotated[Decimal, Field(max_digits=4, decimal_places=2, ge=0)] = Decimal(0)
    shipping: Annotated[bool, Field(strict=True)] = False
    day: Day | None = None
    starts_at: Moment | None = None
    currency: Currency | None = None


def said(model: type[BaseModel], content: dict[str, Any], words: Words) -> str:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(model).validate_python(content)
    status, text = refusal(refused.value, words)
    assert status == 422
    return text


@pytest.mark.parametrize(
    ("content", "english", "chinese"),
    [
        ({"reason": "a"}, "reason (at least 2 characters)", "原因（至少 2 个字符）"),
        ({"reason": "abcdef"}, "reason (at most 5 characters)", "原因（最多 5 个字符）"),
        ({"reason": "A9"}, "reason (has characters", "原因（格式不正确"),
        ({"reason": 7}, "reason (should be text)", "原因（应为文本）"),
        ({"quantity": "many"}, "Quantity (should be a whole number)", "数量（应为整数）"),
        ({"quantity": 1.5}, "Quantity (should be a whole number)", "数量（应为整数）"),
        ({"quantity": 0}, "Quantity (should be at least 1)", "数量（不应小于 1）"),
        ({"quantity": 10}, "Quantity (should be at most 9)", "数量（不应大于 9）"),
        ({"version": "1"}, "(should be a whole number)", "（应为整数）"),
        ({"version": 0}, "(should be more than 0)", "（应大于 0）"),
        ({"version": 9}, "(should be less than 9)", "（应小于 9）"),
        ({"lines": []}, "(at least 1)", "（至少 1 项）"),
        ({"lines": [1, 2, 3]}, "(at most 2)", "（最多 2 项）"),
        ({"lines": [1, "x"]}, " 2 (should be a whole number)", " 2（应为整数）"),
        ({"choice": "c"}, "(is none of the choices)", "（不在可选范围内）"),
        ({"kind": "blue"}, "(is none of the choices)", "（不在可选范围内）"),
        ({"tax": "x"}, "(should be a number)", "（应为数字）"),
        ({"tax": "0.123"}, "(at most 2 decimals)", "（最多 2 位小数）"),
        ({"tax": -1}, "(should be at least 0)", "（不应小于 0）"),
        ({"shipping": 1}, "(should be yes or no)", "（应为是或否）"),
        ({"day": "2026-02-30"}, "Day (should be a day)", "日期（应为日期）"),
        ({"day": "soon"}, "Day (A day is written as in 2026-11-22)", "日期（日期格式如 2026-11-22）"),
        ({"starts_at": "now"}, "(A moment is written", "（时间格式如"),
        ({"currency": "XXY"}, "(Not an ISO 4217 currency in use)", "（不是在用的币种）"),
        ({"moon": 1}, "moon (no such field)", "moon（没有此项）"),
    ],
)
def test_each_fault_is_said_with_its_field(content: dict[str, Any], english: str, chinese: str) -> None:
    assert english in said(One, content, EN)
    assert chinese in said(One, content, ZH)


def test_every_field_is_named_once() -> None:
    text = said(AddSigner, {"where": "under", "of": "a b"}, ZH)
    assert text.startswith("请检查：")
    assert [text.count(word) for word in ("必填", "不在可选范围内", "格式不正确")] == [2, 1, 1]
    assert said(Decide, {"decision": "perhaps"}, EN) == "Please check: decision (is none of the choices)."


def test_hours_of_a_weekday_are_named_by_their_day() -> None:
    content = {"title": {"zh": "一", "en": "One"}, "time_zone": "Asia/Shanghai", "week": {"mon": ["18:00-09:00"]}}
    assert "每周 星期一 1（结束早于开始" in said(CalendarBody, content, ZH)


def test_problem_of_a_whole_form_names_no_field() -> None:
    class Pair(Body):
        name: Text

    assert said(Pair, {}, EN) == "Please check: Name (missing)."


def _custom_codes() -> set[str]:
    calls = [call for source in sources("api", "console") for call in source.calls()]
    named = [call.args[0] for call in calls if ast.unparse(call.func) == "PydanticCustomError" and call.args]
    return {str(ast.literal_eval(code)) for code in named if isinstance(code, ast.Constant)}


def test_every_rule_of_our_own_has_its_words_in_both_languages() -> None:
    known, codes = catalogue()["codes"], _custom_codes()
    assert len(codes) > 20
    hours = {error.code for error in DomainError.__subclasses__() if error.__module__ == "domain.working_hours"}
    assert {f"problem.{code}" for code in codes | hours} - known.keys() == set()
    assert hours <= SITUATIONS.keys()


def test_words_of_a_problem_have_the_same_figures_in_both_languages() -> None:
    figures = re.compile(r"\{\w+\}")
    table = {name: both for name, both in catalogue()["codes"].items() if name.startswith("problem.")}
    assert len(table) > 60
    assert [name for name, (en, zh) in table.items() if figures.findall(en) != figures.findall(zh)] == []
    assert [name for name, (_en, zh) in table.items() if not _CHINESE.search(zh)] == []


def test_problem_without_words_or_figures_is_told_as_it_came() -> None:
    assert ZH.problem("moon_has_risen", {}) == ""
    assert ZH.problem("string_too_long", {}) == ""
