"""Words that several parts must agree on: error codes, hold reasons, tables."""

import ast
from collections.abc import Iterator

from sqlmodel import SQLModel

import models
from api.errors import SITUATIONS
from domain.errors import DomainError
from domain.flow.vocabulary import ACTIONS, COMPENSATIONS, EVENTS, HOLD_REASONS
from tests.architecture.source_tree import ROOT, Source, imported_modules, sources

# Raised within activities only. They become the type of a failure that the workflow turns into a hold.
NEVER_OVER_HTTP = {
    "change_unreadable",
    "decision_unreadable",
    "not_found",
    "payment_method_unknown",
    "payment_unreadable",
    "posting_failed",
    "refund_unreadable",
    "report_unreadable",
    "return_unreadable",
    "scan_unreadable",
}
# Which argument of a call names the reason of a hold.
_NAMING = {"Reason": 0, "Trouble": 1, "StepFailed": 0, "Party": 1, "find_open": 2}


def test_every_domain_error_has_an_answer_or_never_meets_a_caller() -> None:
    codes = {error.code for error in _errors(DomainError)}
    assert codes - SITUATIONS.keys() == NEVER_OVER_HTTP
    assert NEVER_OVER_HTTP & SITUATIONS.keys() == set()


def test_every_domain_error_has_a_code_of_its_own_and_no_http_status() -> None:
    errors = _errors(DomainError)
    assert [error.__name__ for error in errors if "code" not in vars(error)] == []
    assert [error.__name__ for error in errors if hasattr(error, "status")] == []


def test_every_hold_reason_in_use_is_known() -> None:
    used = {reason for source in sources("activities", "store", "workflows", "api") for reason in _reasons(source)}
    assert used - HOLD_REASONS.keys() == set()


def test_hold_reasons_are_found_where_there_are_some() -> None:
    found = {reason for source in sources("activities", "workflows") for reason in _reasons(source)}
    assert {"out_of_stock", "carrier_unavailable", "wait_overdue", "payment_over", "invoice_rejected"} <= found


def test_every_table_is_reached_by_importing_models() -> None:
    files = {file.stem for file in (ROOT / "models").glob("*.py")} - {"__init__", "columns"}
    assert files == set(models.__all__)
    assert set(SQLModel.metadata.tables) == set(_tables_written())


def test_models_holds_tables_only() -> None:
    stray = [
        f"{source.path}:{one.name}"
        for source in sources("models")
        for one in source.classes()
        if source.path != "models/columns.py" and not _is_table(one)
    ]
    assert stray == []


def test_what_takes_money_or_goods_can_be_undone() -> None:
    undone = {name: step.compensation for name, step in ACTIONS.items() if step.core}
    undone |= {name: event.compensation for name, event in EVENTS.items() if event.money}
    assert set(undone.values()) == set(COMPENSATIONS)


def _errors(error: type[DomainError]) -> set[type[DomainError]]:
    imported_modules()
    # Tests make errors of their own to see what becomes of them.
    ours = {one for one in error.__subclasses__() if not one.__module__.startswith("tests.")}
    return ours.union(*(_errors(one) for one in ours))


def _reasons(source: Source) -> Iterator[str]:
    for call in source.calls():
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)
        at = _NAMING.get(name)
        given = call.args[at] if at is not None and len(call.args) > at else None
        yield from _constants(given)
        yield from (text for word in call.keywords if word.arg == "held" for text in _constants(word.value))
        if name == "get" and ast.unparse(call.func) == "_OVERDUE.get":
            yield from _constants(call.args[1])


def _constants(node: ast.expr | None) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    if isinstance(node, ast.Call):
        yield from (text for argument in node.args for text in _constants(argument))
    if isinstance(node, ast.IfExp):
        yield from _constants(node.body)
        yield from _constants(node.orelse)


def _tables_written() -> Iterator[str]:
    for source in sources("models"):
        for one in source.classes():
            for statement in one.body:
                if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__tablename__":
                    yield str(ast.literal_eval(statement.value))


def _is_table(one: ast.ClassDef) -> bool:
    return any(word.arg == "table" and ast.unparse(word.value) == "True" for word in one.keywords)
