"""Conditions on an order's facts, in CEL. The only module that knows the expression library.

The library reports a failed evaluation as a value, and that value is truthy. A condition therefore holds only when the
evaluation ended in a boolean that is true; everything else is `ConditionFailed`. For the same reason every fact that
the text mentions must be there and of its type before anything is evaluated: ``a || b`` would hide that b is missing.

What could run long is not in the language: no ``map``, ``filter`` and joining of lists (quadratic), no ``matches`` (a
counted repetition over long texts takes half a minute). Nor is ``dyn``, which would switch off the check of types. The
library itself bounds the depth of expressions. ``all`` and ``exists`` may not contain each other, because comparing
lists at every step of a nested walk takes seconds.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from cel_expr_python import cel

from domain.errors import DomainError
from domain.flow.vocabulary import FACTS, FactKind, Facts

MAX_LENGTH = 2000
MAX_ITEMS = 200
MAX_TEXT = 200

_CEL_TYPE = {
    FactKind.INT: cel.Type.INT,
    FactKind.TEXT: cel.Type.STRING,
    FactKind.BOOL: cel.Type.BOOL,
    FactKind.TEXTS: cel.Type.List(cel.Type.STRING),
    FactKind.MOMENT: cel.Type.TIMESTAMP,
}

_LANGUAGE = cel.NewEnvConfigFromYaml(
    """
    stdlib:
      exclude_macros: [map, filter, has]
      exclude_functions:
        - name: matches
        - name: dyn
        - name: _+_
          overloads: [{id: add_list}]
    """
)
_ENVIRONMENT = cel.NewEnv(config=_LANGUAGE, variables={name: _CEL_TYPE[fact.kind] for name, fact in FACTS.items()})

_FINDING = re.compile(r"<input>:-?\d+:(-?\d+): (.*)")
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")
_EXCLUDED = re.compile(r"\b(map|filter|has|matches|dyn)\s*\(")
_LITERAL_OR_COMMENT = re.compile(
    r"""
    [bB]?[rR][bB]?(?:"{3}[\s\S]*?"{3}|'{3}[\s\S]*?'{3}|"[^"\n]*"|'[^'\n]*')
    |(?:"{3}(?:\\[\s\S]|[^\\])*?"{3}|'{3}(?:\\[\s\S]|[^\\])*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
    |//[^\n]*
    """,
    re.VERBOSE,
)
_WALK_OR_PARENTHESIS = re.compile(r"\b(?:all|exists|exists_one)\s*\(|[()]")


class ConditionRefused(DomainError):
    """The text is no condition; the detail says why."""

    code = "condition_refused"


class ConditionFailed(DomainError):
    """The condition could not be decided for these facts; the detail says why and quotes no fact's value."""

    code = "condition_failed"


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition. ``facts`` are the names it may read."""

    text: str
    facts: frozenset[str]
    _expression: cel.Expression = field(repr=False, compare=False)

    def holds(self, facts: Facts) -> bool:
        """Whether the facts meet the condition; `ConditionFailed` when that cannot be said. Others are ignored."""
        data = {name: _checked(name, facts) for name in self.facts}
        try:
            value = self._expression.eval(data=data)
        except RuntimeError as fault:
            raise ConditionFailed("took more steps than allowed", condition=self.text) from fault
        if value.type() != cel.Type.BOOL:
            raise ConditionFailed("ended in an error instead of true or false", condition=self.text)
        return value.value() is True


@lru_cache(maxsize=4096)
def compile_condition(text: str) -> Condition:
    """The condition that the text states, ready to be asked.

    Raises `ConditionRefused` for a text that is too long, is no expression, names an unknown fact, mixes types, uses an
    excluded function, or is not boolean.
    """
    if len(text) > MAX_LENGTH:
        raise ConditionRefused(f"longer than {MAX_LENGTH} characters")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise ConditionRefused("contains a lone surrogate")
    try:
        expression = _ENVIRONMENT.compile(text)
    except RuntimeError as fault:
        raise ConditionRefused(_explain(str(fault), text)) from fault
    if expression.return_type() != cel.Type.BOOL:
        raise ConditionRefused(f"should be true or false, but is of type {expression.return_type().name()}")
    if _walks_are_nested(text):
        raise ConditionRefused("all() and exists() may not contain each other")
    return Condition(text, _facts_read(text), expression)


def _walks_are_nested(text: str) -> bool:
    """Only for text that compiles: its literals are then closed. What cannot be told counts as nested."""
    open_walks: list[bool] = []
    for bracket in _WALK_OR_PARENTHESIS.findall(_LITERAL_OR_COMMENT.sub(" ", text)):
        if bracket == ")":
            if not open_walks:
                return True
            open_walks.pop()
            continue
        is_walk = bracket != "("
        if is_walk and any(open_walks):
            return True
        open_walks.append(is_walk)
    return False


def _facts_read(text: str) -> frozenset[str]:
    """Never too few: CEL allows blanks and comments around a dot, but the last part of a name is always spelled out."""
    return frozenset(name for name in FACTS if name.rpartition(".")[2] in text)


def _explain(message: str, text: str) -> str:
    excluded = _EXCLUDED.search(_LITERAL_OR_COMMENT.sub(" ", text))
    if excluded:
        return f"{excluded[1]}() is not available in conditions"
    found = _FINDING.search(message)
    if not found:
        return "too deeply nested" if "limit" in message else "not a valid expression"
    detail = found[2].removesuffix(" [INVALID_ARGUMENT]").removesuffix(" (in container '')").partition(" expecting ")[0]
    undeclared = _UNDECLARED.search(detail)
    if undeclared:
        close = difflib.get_close_matches(undeclared[1], FACTS, n=1, cutoff=0.75)
        detail = f"unknown name {undeclared[1]!r}" + (f", did you mean {close[0]!r}?" if close else "")
    column = int(found[1])
    return (f"column {column}: {detail}" if column > 0 else detail)[:200]


def _checked(name: str, facts: Mapping[str, object]) -> object:
    fact = FACTS[name]
    value = facts.get(name)
    if value is None:
        value = fact.absent
    if value is None:
        raise ConditionFailed(f"the fact {name} is missing", fact=name)
    try:
        return _READ[fact.kind](value)
    except (TypeError, ValueError, OverflowError) as fault:
        raise ConditionFailed(f"the fact {name} is not usable: {fault}", fact=name) from fault


def _integer(value: object) -> int:
    if type(value) is not int:
        raise TypeError("an integer is needed")
    if not -(2**63) <= value < 2**63:
        raise OverflowError("beyond 64 bits")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a text is needed")
    if len(value) > MAX_TEXT:
        raise ValueError(f"longer than {MAX_TEXT} characters")
    return str(value)


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError("true or false is needed")
    return value


def _texts(value: object) -> list[str]:
    if not isinstance(value, list | tuple):
        raise TypeError("a list of texts is needed")
    if len(value) > MAX_ITEMS:
        raise ValueError(f"more than {MAX_ITEMS} entries")
    return [_text(item) for item in value]


def _moment(value: object) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("no RFC 3339 time") from None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise TypeError("a time with its zone is needed")
    return value


_READ = {
    FactKind.INT: _integer,
    FactKind.TEXT: _text,
    FactKind.BOOL: _boolean,
    FactKind.TEXTS: _texts,
    FactKind.MOMENT: _moment,
}
