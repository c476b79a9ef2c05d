"""What a failed request is answered with. `SITUATIONS` is the only place where a domain error meets an HTTP status."""

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import psycopg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import Response
from temporalio.client import WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.service import RPCError, RPCStatusCode

from api.problem import Answer, FieldProblem, Refused, internal_error, pointer, problem_response, short
from domain.errors import DomainError

RETRY_AFTER: Final = {"Retry-After": "5"}
_log = structlog.get_logger(__name__)

SITUATIONS: Final[Mapping[str, tuple[int, str]]] = {
    # nothing there, or nothing the asker may see
    "order_not_found": (404, "No such order"),
    "master_not_found": (404, "No such record"),
    "shipment_not_found": (404, "No such shipment"),
    "payment_not_found": (404, "No such payment"),
    "refund_not_found": (404, "No such refund"),
    "return_not_found": (404, "No such return"),
    "invoice_not_found": (404, "No such invoice"),
    "key_not_found": (404, "No such key"),
    "discrepancy_not_found": (404, "No such discrepancy"),
    "delivery_not_found": (404, "No such delivery"),
    "approval_not_found": (404, "No such approval"),
    "group_not_found": (404, "No such group"),
    "import_not_found": (404, "No such import"),
    "flow_not_found": (404, "No such flow, or no such version of it"),
    "flow_draft_not_found": (404, "Nobody is drawing this flow"),
    # somebody else's to say
    "not_assignee": (403, "Others are asked to decide about this"),
    # asked for at the wrong moment
    "approval_not_open": (409, "The approval is not open any more"),
    "already_decided": (409, "You have decided about this already"),
    "abstention_not_offered": (409, "Only in a vote may a person abstain"),
    "not_a_signer": (409, "The person does not sign here, has decided, or was not added by anybody"),
    "too_many_signers": (409, "So many people were added that no more are"),
    "return_not_offered": (409, "This approval cannot send the order back"),
    "order_not_cancellable": (409, "The order can no longer be cancelled"),
    "order_not_changeable": (409, "The order can no longer be changed like this"),
    "change_needs_other_flow": (409, "Like this the order would go another way: cancel it and place it anew"),
    "order_not_parked": (409, "The order does not stand in an exception lane"),
    "node_map_incomplete": (409, "Nothing says which node of that version the order goes on at"),
    "branches_unclear": (409, "It is not clear which branch there goes on with a branch that the order stands in"),
    "core_step_passed": (409, "There the order could complete without a step that no order completes without"),
    "preview_stale": (409, "The order is not what it was when the change was shown"),
    "line_fixed": (409, "Something of the line was refunded or taken out: it stays as it is"),
    "nothing_to_change": (409, "The order is like this already"),
    "out_of_stock": (409, "Not enough units are free"),
    "price_mismatch": (409, "The catalogue has another price, or none"),
    "deposit_too_large": (409, "A deposit is less than what the order comes to"),
    "lifecycle_move_refused": (409, "The order cannot move to this state"),
    "discrepancy_not_open": (409, "The discrepancy is not there any more"),
    "quantity_exceeded": (409, "More units than are left"),
    "order_not_refundable": (409, "The order was broken off: its money goes back by that"),
    "return_not_open": (409, "The return was decided, has ended, or waits for a decision"),
    "not_returnable": (409, "Fewer units have arrived, or are still to be returned"),
    "exchange_not_offered": (409, "These goods are not exchanged: they can be returned, and others ordered"),
    "more_than_announced": (409, "More units than the return announces"),
    "file_forgotten": (409, "The file is not kept any more: bring it again"),
    "units_packed": (409, "The units lie in a parcel that has not arrived"),
    "nothing_left_to_ship": (409, "Nothing would be left to send: cancel the order instead"),
    "refund_above_paid": (409, "More than is left of the price, or of what was paid"),
    "stock_not_reserved": (409, "The goods are not reserved for this order"),
    "no_flow_matches": (409, "No flow applies to this order"),
    "flow_version_differs": (409, "This version of the flow has another content"),
    "flow_draft_changed": (412, "Somebody has saved the draft meanwhile"),
    "flow_has_problems": (409, "The flow has problems that are to be mended first"),
    "sandbox_not_passed": (409, "No sandbox run of this very content has passed"),
    "draft_not_of_this_hash": (409, "The draft is another one than was looked at"),
    "calendar_changed": (412, "Somebody has changed the calendar meanwhile"),
    "calendar_in_use": (
        409,
        "Flows name the calendar: it is not removed before they are retired and their orders have ended",
    ),
    "calendar_built_in": (409, "This calendar came with the product: it is changed, never removed"),
    "nothing_to_roll_back": (409, "People have released nothing that could be taken back"),
    "no_fallback_flow": (409, "Some orders would have no flow any more"),
    "role_without_people": (409, "A node asks a role in which nobody is"),
    "no_legal_entity": (409, "The masters lack the legal entity that sells"),
    "entity_missing": (409, "The masters lack the legal entity that keeps the books"),
    "account_mapping_missing": (409, "No account is mapped to a role that is needed"),
    "fx_rate_missing": (409, "There is no exchange rate for this day"),
    "functional_currency_fixed": (409, "The functional currency is fixed by the entries in the journal"),
    # the request contradicts itself, an earlier one, or the masters
    "idempotency_key_reused": (422, "The same key came before with another content"),
    "unknown_currency": (422, "Not a currency in use"),
    "currency_mismatch": (422, "Two currencies where one is meant"),
    "invalid_amount": (422, "Not an amount of this currency"),
    "invalid_rate": (422, "Not a usable rate"),
    "amount_too_large": (422, "The amount is too large"),
    "cannot_split": (422, "There is an amount, but nothing it could belong to"),
    "unknown_sku": (422, "The catalogue has no such SKU"),
    "price_unknown": (422, "The catalogue has no price for these goods"),
    "unknown_line": (422, "The order has no such line"),
    "refund_reason_not_allowed": (422, "The reason is not one for a refund of this kind"),
    "no_lines": (422, "An order has at least one line"),
    "duplicate_line_id": (422, "A line id occurs twice"),
    "invalid_quantity": (422, "The quantity is not one that can be ordered"),
    "invalid_gift": (422, "A gift belongs to a line that is bought"),
    "discount_above_price": (422, "The discounts are more than the price"),
    "shipping_shares_mismatch": (422, "The shares of the shipping fee do not add up to it"),
    "unknown_warehouse": (422, "No such warehouse"),
    "flow_refused": (422, "The flow cannot be used as it is"),
    "condition_refused": (422, "A condition cannot be used as it is"),
    "span_malformed": (422, "Hours are written as 09:00-18:00, from 00:00 to 24:00"),
    "span_backwards": (422, "The hours end before they begin; work over midnight is two spans on two days"),
    "spans_overlap": (422, "Two spans of the day have minutes in common"),
    "too_many_spans": (422, "A day has too many spans of work"),
    "no_working_time": (422, "No day of the week has any hours"),
    "rate_of_own_currency": (422, "The functional currency needs no rate"),
    "cannot_be_asked": (422, "This person cannot be asked"),
    "unknown_delegate": (422, "The delegate is not known, or is the person who is away"),
    "unknown_superior": (422, "The superior is not known, or would be their own superior"),
    # impossible unless we are wrong
    "unbalanced_entry": (500, "An entry would not balance"),
    "impossible_position": (500, "An order's money cannot stand like this"),
    "condition_failed": (500, "A condition could not be decided"),
}
"""Domain error code to HTTP status and title; a code without a row is a conflict with what is recorded (409)."""

_TEMPORAL_AWAY: Final = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.ABORTED,
        # An update that met a workflow which was just ending: the next try finds it ended.
        RPCStatusCode.FAILED_PRECONDITION,
        RPCStatusCode.INTERNAL,
        RPCStatusCode.UNKNOWN,
    }
)
# Pydantic's own words for these quote what was sent.
_QUOTING: Final = {
    "union_tag_invalid": "Not one of the expected kinds",
    "value_error": "The value is not acceptable",
    "assertion_error": "The value is not acceptable",
}


def add_error_handlers(app: FastAPI) -> None:
    """Afterwards every exception that a route can raise is answered with a problem."""
    app.exception_handler(Refused)(_refused)
    app.exception_handler(DomainError)(_domain_error)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(HTTPException)(_http_error)
    for database in (DBAPIError, DisconnectionError, PoolTimeout, psycopg.OperationalError, psycopg.InterfaceError):
        app.exception_handler(database)(_database_error)
    # RuntimeError: what the first call of a lazy client raises when there is no server.
    for temporal in (RPCError, WorkflowUpdateRPCTimeoutOrCancelledError, RuntimeError):
        app.exception_handler(temporal)(_temporal_error)


def request_id_of(request: Request) -> str:
    """The id that this request is logged and answered under."""
    return str(request.scope.get("request_id", "unknown"))


def domain_answer(error: DomainError) -> Answer:
    """The problem of a domain error, for a whole request or for one item of a batch.

    A 422 is about what was sent, so it speaks in the table's words alone: the error's own might quote the sender.
    """
    status, title = SITUATIONS.get(error.code, (409, error.code.replace("_", " ").capitalize()))
    if status in (404, 422):
        return Answer(status, error.code, title, title)
    facts = {name: value for name, value in error.facts.items() if isinstance(value, str | int | bool)}
    return Answer(status, error.code, error.detail or title, title, facts=facts)


def field_problems(errors: Sequence[Any]) -> list[FieldProblem]:
    """Pydantic's errors as JSON pointers or parameter names, each with a code, none with the value."""
    return [_field_problem(error) for error in errors]


def _field_problem(error: Mapping[str, Any]) -> FieldProblem:
    where, *path = error["loc"] or ("body",)
    code = str(error["type"])
    detail = _QUOTING.get(code) or str(error["msg"])
    if where == "body":
        if code == "json_invalid":
            path, detail = [], "The body is not JSON"
        return FieldProblem(pointer=pointer(path), parameter=None, code=code, detail=detail)
    name = ".".join(short(step) for step in path)
    return FieldProblem(pointer=None, parameter=name or str(where), code=code, detail=detail)


async def _refused(request: Request, error: Refused) -> Response:
    answer = Answer(
        error.status, error.code, error.detail, errors=error.errors, facts=error.facts, headers=error.headers
    )
    return problem_response(request_id_of(request), answer)


async def _domain_error(request: Request, error: DomainError) -> Response:
    answer = domain_answer(error)
    return _unexpected(request, error) if answer.status >= 500 else problem_response(request_id_of(request), answer)


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    problems = field_problems(error.errors())
    if _is_other_media(request, error.errors()):
        answer = Answer(415, "unsupported_media_type", "This route takes application/json.")
    else:
        answer = Answer(422, "invalid_request", "The request does not have the expected content.", errors=problems)
    return problem_response(request_id_of(request), answer)


def _is_other_media(request: Request, errors: Sequence[Any]) -> bool:
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_json = sent == "application/json" or (sent.startswith("application/") and sent.endswith("+json"))
    whole_body = any(tuple(error["loc"]) == ("body",) and error["type"] != "missing" for error in errors)
    return whole_body and not is_json


async def _http_error(request: Request, error: HTTPException) -> Response:
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(sorted(_methods_at(request)))
    phrase = HTTPStatus(error.status_code).phrase
    code = phrase.lower().replace(" ", "_").replace("-", "_")
    return problem_response(request_id_of(request), Answer(error.status_code, code, phrase, headers=headers))


def _methods_at(request: Request) -> Iterator[str]:
    path = request.scope["path"]
    routes = [route for route in iter_route_contexts(request.app.routes) if route.methods]
    # An address of its own may also fit the pattern of another one; what counts is its own.
    found = [route for route in routes if route.path_format == path]
    for route in found or [route for route in routes if route.path_regex.match(path)]:
        yield from route.methods or ()


async def _database_error(request: Request, error: Exception) -> Response:
    if isinstance(error, DBAPIError) and not _is_away(error):
        return _unexpected(request, error)
    _log.warning("database away", error=type(error).__name__)
    answer = Answer(503, "database_unavailable", "The database cannot be reached at the moment.", headers=RETRY_AFTER)
    return problem_response(request_id_of(request), answer)


def _is_away(error: DBAPIError) -> bool:
    return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)


async def _temporal_error(request: Request, error: Exception) -> Response:
    if not is_temporal_away(error):
        return _unexpected(request, error)
    answer = Answer(503, "temporal_unavailable", "Temporal cannot be reached at the moment.", headers=RETRY_AFTER)
    return problem_response(request_id_of(request), answer)


def is_temporal_away(error: Exception) -> bool:
    """Whether the error says that Temporal could not be reached or did not answer in time."""
    if isinstance(error, RPCError):
        return error.status in _TEMPORAL_AWAY
    return not isinstance(error, RuntimeError) or str(error).startswith("Failed client connect")


def _unexpected(request: Request, error: Exception) -> Response:
    _log.error("request failed", path=request.scope["path"], exc_info=error)
    return problem_response(request_id_of(request), internal_error())
