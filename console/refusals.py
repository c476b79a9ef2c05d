"""Why something is refused, in the words of whoever reads it; what is wrong with a field has one table of words."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from api.errors import domain_answer
from api.problem import FieldProblem, Refused
from console.words import Words
from domain.errors import DomainError

REFUSALS: Final = (Refused, DomainError, ValidationError)


def refusal(refused: Exception, words: Words) -> tuple[int, str]:
    """Status and words for what a command was refused with. Raises what is no refusal."""
    if isinstance(refused, Refused):
        details = [_of_request(problem, words) for problem in refused.errors]
        return refused.status, " ".join(details) or words.text(refused.detail)
    if isinstance(refused, DomainError):
        answer = domain_answer(refused)
        return answer.status, words.text(answer.detail)
    if isinstance(refused, ValidationError):
        faults = [_fault(error, words) for error in refused.errors(include_input=False, include_url=False)]
        if any(not error["loc"] for error in refused.errors(include_input=False)):
            return 422, " ".join(faults)
        return 422, words.text("Please check: {faults}.", faults="; ".join(dict.fromkeys(faults)))
    raise refused


def _of_request(problem: FieldProblem, words: Words) -> str:
    """A problem that the API has found has the figures of its rule in its English words alone."""
    return words.problem(problem.code, {}) or words.text(problem.detail)


def _fault(error: Mapping[str, Any], words: Words) -> str:
    what = words.problem(error["type"], error.get("ctx", {})) or words.text(error["msg"])
    where = _named(error["loc"], words)
    return words.text("{field} ({what})", field=where, what=what) if where else what


def _named(path: Sequence[str | int], words: Words) -> str:
    """What people call the field; of a list, which one of it."""
    return " ".join(words.code("field", part) if isinstance(part, str) else str(part + 1) for part in path)
