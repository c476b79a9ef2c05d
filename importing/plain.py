"""Cells as people write them, turned into what programs write: digits of any width, dates, names of countries.

Nothing is guessed: what can be meant in two ways is refused, and says so.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

from domain.money import exponents
from importing.columns import Column, Kind
from importing.grid import Cell, Form
from importing.table import Problem

_GROUPED: Final = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?")
_ONE_GROUP: Final = re.compile(r"[0-9]{1,3},[0-9]{3}")
_PERCENT: Final = re.compile(r"([0-9]{1,2}(?:\.[0-9]{1,4})?) ?%")
_BREAKS: Final = re.compile(r"[\r\n\t]+")
_MOMENT: Final = re.compile(
    r"(?P<y>[0-9]{4})[-/.年](?P<mo>[0-9]{1,2})[-/.月](?P<d>[0-9]{1,2})日?"
    r"(?:[T ]+(?P<h>[0-9]{1,2}):(?P<mi>[0-9]{2})(?::(?P<s>[0-9]{2})(?:\.[0-9]+)?)?)?(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?",
    re.IGNORECASE,
)
# From the first day of 2000 to the last of 2100, as Excel counts days.
_SERIAL: Final = (36526, 73415)
_DAY_ZERO: Final = datetime(1899, 12, 30)  # noqa: DTZ001 - a clock on the wall, whose zone is said elsewhere
# Excel keeps fifteen digits of a number; of a longer one the last are zeros.
_MOST_DIGITS: Final = 15
_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "type": {
        "普通": "normal",
        "普通订单": "normal",
        "拼团": "group_buy",
        "团购": "group_buy",
        "样品": "sample",
        "预售": "presale",
        "预售订单": "presale",
        "跨境": "cross_border",
        "跨境订单": "cross_border",
        "赠品": "gift",
    },
    "payment_terms": {
        "预付": "prepaid",
        "先款后货": "prepaid",
        "款到发货": "prepaid",
        "定金尾款": "deposit_balance",
        "赊销": "on_credit",
        "账期": "on_credit",
        "挂账": "on_credit",
        "月结": "on_credit",
        "货到付款": "cash_on_delivery",
        "cod": "cash_on_delivery",
        "无需付款": "none",
    },
    "payment_method": {"支付宝": "alipay", "微信": "wechat", "微信支付": "wechat", "银行转账": "bank_transfer"},
}


@dataclass(slots=True)
class Hand:
    """How the cells of one file are read: `time_zone` is that of its clocks; what is wrong is remembered."""

    time_zone: str | None
    problems: list[Problem] = field(default_factory=list)
    numbers_as_codes: dict[str, list[int]] = field(default_factory=dict)
    """Of columns whose zeros in front are gone if there were any: the rows in which numbers stand."""

    def read(self, cell: Cell, column: Column, row: int, currency: str) -> str:
        """The cell as a program would have written it; as it is where it cannot be told what it means."""
        refusal = _refusal(cell, column)
        if refusal is not None:
            self._refuse(row, column, *refusal)
            return ""
        text = unicodedata.normalize("NFKC", cell.text).strip() if column.kind != Kind.TEXT else cell.text.strip()
        if not text:
            return ""
        match column.kind:
            case Kind.CODE:
                return self._code(cell, text, column, row)
            case Kind.AMOUNT | Kind.WHOLE:
                return self._figure(text, column, row, currency)
            case Kind.MOMENT:
                return self._moment(cell, text, column, row)
            case _:
                return _READ[column.kind](text, column.name)

    def _code(self, cell: Cell, text: str, column: Column, row: int) -> str:
        if cell.form == Form.NUMBER:
            if len(text.lstrip("-0").replace(".", "")) > _MOST_DIGITS:
                words = "Excel keeps 15 digits of a number: format the column as text and enter it again"
                self._refuse(row, column, "digits_lost", words)
                return ""
            self.numbers_as_codes.setdefault(column.name, []).append(row)
        return _BREAKS.sub(" ", text)

    def _figure(self, text: str, column: Column, row: int, currency: str) -> str:
        if _ONE_GROUP.fullmatch(text) and column.kind == Kind.AMOUNT and exponents().get(currency) == 3:
            self._refuse(row, column, "ambiguous_amount", "the comma may be one of thousands or of decimals")
            return "0"
        return text.replace(",", "") if _GROUPED.fullmatch(text) else text

    def _moment(self, cell: Cell, text: str, column: Column, row: int) -> str:
        if cell.form == Form.NUMBER:
            days = Decimal(text)
            if not _SERIAL[0] <= days <= _SERIAL[1]:
                self._refuse(row, column, "no_moment", "a date is needed, such as 2026-11-22 10:00")
                return ""
            return self._in_zone(_DAY_ZERO + timedelta(seconds=round(days * 86400)), column, row)
        found = _MOMENT.fullmatch(text)
        try:
            told = {name: int(found[name] or 0) for name in ("y", "mo", "d", "h", "mi", "s")} if found else {}
            at = datetime(told["y"], told["mo"], told["d"], told["h"], told["mi"], told["s"])  # noqa: DTZ001
        except (KeyError, ValueError):
            self._refuse(row, column, "no_moment", "a date is needed, such as 2026-11-22 10:00")
            return ""
        if found is not None and found["zone"]:
            return at.isoformat() + found["zone"].upper()
        return self._in_zone(at, column, row)

    def _in_zone(self, at: datetime, column: Column, row: int) -> str:
        if self.time_zone is None:
            self._refuse(row, column, "no_time_zone", "the date has no time zone, and the import was told none")
            return ""
        return at.replace(tzinfo=ZoneInfo(self.time_zone)).isoformat()

    def _refuse(self, row: int, column: Column, code: str, words: str, **values: str | int) -> None:
        self.problems.append(Problem(row, column.name, code, words, values))


def _refusal(cell: Cell, column: Column) -> tuple[str, str] | None:
    """Code and words for a cell that has no value, or one that is not its own alone."""
    if cell.form == Form.ERROR:
        return "error_cell", "the cell has an error of Excel and no value"
    if cell.form == Form.UNCALCULATED:
        return "uncalculated", "the formula has no result: open the file in Excel and save it"
    if cell.merged and not column.once:
        return "merged_cell", "the cell spans several rows: each line needs a value of its own"
    return None


def _rate(text: str, _name: str) -> str:
    percent = _PERCENT.fullmatch(text)
    if percent is None:
        return text
    return format(Decimal(percent[1]).scaleb(-2).normalize(), "f")


def _word(text: str, name: str) -> str:
    plain = text.casefold()
    return _WORDS.get(name, {}).get(plain, plain.replace(" ", "_"))


def _country(text: str, _name: str) -> str:
    return _territories().get(text.casefold(), text.upper() if len(text) == 2 else text)


def _currency(text: str, _name: str) -> str:
    return _currencies().get(text.casefold(), text.upper())


_READ: Final[Mapping[Kind, Callable[[str, str], str]]] = {
    Kind.TEXT: lambda text, _name: _BREAKS.sub(" ", text),
    Kind.WORD: _word,
    Kind.RATE: _rate,
    Kind.COUNTRY: _country,
    Kind.CURRENCY: _currency,
}


@cache
def _territories() -> Mapping[str, str]:
    from babel import Locale

    named = {
        name.casefold(): code
        for language in ("en", "zh")
        for code, name in Locale(language).territories.items()
        if len(code) == 2 and code.isalpha()
    }
    return named | {"usa": "US", "uk": "GB", "香港": "HK", "澳门": "MO", "台湾": "TW", "中国大陆": "CN"}


@cache
def _currencies() -> Mapping[str, str]:
    from babel import Locale

    named = {
        name.casefold(): code
        for language in ("en", "zh")
        for code, name in Locale(language).currencies.items()
        if code in exponents()
    }
    return named | {"rmb": "CNY", "人民币": "CNY", "元": "CNY"}
