"""/v1/approvals: what waits for a person's decision, least time left first, and deciding it."""

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request, Response

from api.approvals.answering import Decider, SayingDep
from api.approvals.saying import Speaker, said_in, say, word_of
from api.approvals.schemas import (
    AddSigner,
    ApprovalItem,
    ApprovalQuery,
    ApprovalView,
    CopyTo,
    Decide,
    DecideOne,
    DecisionBatch,
    DecisionView,
    Reasoned,
    Transfer,
    Words,
)
from api.batch import BatchResult, Taken, one_by_one
from api.dependencies import SessionsDep, SnapshotDep, requires
from api.fields import Key
from api.inbox.door import HandOverDep
from api.paging import ExchangeDep, Keyset, Page, page_of
from api.verbatim import understood
from domain.access import Permission, Principal
from runtime.database import Sessions
from store import approvals
from store.listing import approvals as listing

router = APIRouter(tags=["approvals"])
_LEAST_LEFT: Final = Keyset("approvals", (datetime, str))
Reader = Annotated[Principal, requires(Permission.APPROVALS_READ)]
# What is said is committed first, and may have been heard before it is answered.
_SAID: Final[dict[str, Any]] = {"status_code": 202, "responses": {200: {"model": DecisionView}}}
DecisionId = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.get("/v1/approvals", summary="List approvals")
async def list_approvals(
    query: Annotated[ApprovalQuery, Query()], caller: Reader, session: SnapshotDep, exchange: ExchangeDep
) -> Page[ApprovalItem]:
    rows = await listing.page(session, caller, query.wanted(caller), _LEAST_LEFT.decode(query.cursor), query.limit)
    asked = await listing.asked(session, [row.approval_id for row in rows])
    key = (_LEAST_LEFT, lambda row: (row.deadline_at, row.approval_id))
    return page_of(rows, query, exchange, key, lambda row: ApprovalItem.of(row, asked[row.approval_id], caller))


@router.post("/v1/approvals:decide", summary="Decide up to 200 approvals")
async def decide_many(
    batch: DecisionBatch, request: Request, caller: Decider, sessions: SessionsDep, hand_over: HandOverDep
) -> BatchResult:
    """Each decision is taken or refused by itself; what became of one is told by its approval."""

    async def take(item: dict[str, Any]) -> Taken:
        return await _take_one(sessions, hand_over, caller, understood(DecideOne, item))

    return await one_by_one(request, batch.decisions, take)


async def _take_one(sessions: Sessions, hand_over: Any, caller: Principal, one: DecideOne) -> Taken:
    async with sessions() as session:
        said = {"action": one.decision, "comment": one.comment}
        spoken = await say(Speaker(session, caller, hand_over), one.approval_id, said)
        return spoken.approval.order_no, spoken.repeated


@router.get("/v1/approvals/{approval_id}", summary="One approval with its story")
async def get_approval(approval_id: Key, caller: Reader, session: SnapshotDep) -> ApprovalView:
    approval = await listing.approval_in_sight(session, approval_id, caller)
    return ApprovalView.whole(approval, await approvals.parts(session, approval_id), caller)


@router.post(
    "/v1/approvals/{approval_id}/decision",
    summary="Decide an approval",
    **_SAID,
)
async def decide_approval(saying: SayingDep, body: Decide, response: Response) -> DecisionView:
    """202: committed, and on its way whatever comes. 200: heard within `Prefer: wait`; `state` says what became of it.

    403: others are asked. 409: it was decided, has timed out or is void; the facts say by whom and when.
    """
    return await saying.answer({"action": body.decision, "comment": body.comment}, response)


@router.get("/v1/approvals/{approval_id}/decisions/{decision_id}", summary="What became of a decision")
async def get_decision(approval_id: Key, decision_id: DecisionId, caller: Reader, session: SnapshotDep) -> DecisionView:
    approval = await listing.approval_in_sight(session, approval_id, caller)
    message = await word_of(session, approval, decision_id)
    return DecisionView.of(message, said_in(message).action, approval)


@router.post(
    "/v1/approvals/{approval_id}/transfer",
    summary="Hand a decision on",
    **_SAID,
)
async def transfer_approval(saying: SayingDep, body: Transfer, response: Response) -> DecisionView:
    """By who is asked, to somebody else; by operations, to somebody more."""
    return await saying.answer({"action": "transfer", "to": body.to, "comment": body.comment}, response)


@router.post(
    "/v1/approvals/{approval_id}/withdraw",
    summary="Withdraw an approval",
    **_SAID,
)
async def withdraw_approval(saying: SayingDep, body: Words, response: Response) -> DecisionView:
    """By the submitter or operations: nobody needs to decide any more, and the order goes the way of a rejection."""
    return await saying.answer({"action": "withdraw", "comment": body.comment}, response)


@router.post(
    "/v1/approvals/{approval_id}/nudge",
    summary="Remind those who are asked",
    **_SAID,
)
async def nudge_approval(saying: SayingDep, body: Words, response: Response) -> DecisionView:
    """Once in five minutes."""
    return await saying.answer({"action": "nudge", "comment": body.comment}, response)


@router.post(
    "/v1/approvals/{approval_id}/signers",
    summary="Add a signer",
    **_SAID,
)
async def add_signer(saying: SayingDep, body: AddSigner, response: Response) -> DecisionView:
    """By who is to decide, before, after or beside themselves; by operations, before, after or beside anybody.

    Before and after, the two have one word between them: yes once both have agreed. Beside, the new signer has a word
    of their own.
    """
    said = {"action": "add_signer", "to": body.person, "where": body.where, "of": body.of, "comment": body.reason}
    return await saying.answer(said, response)


@router.post(
    "/v1/approvals/{approval_id}/signers/{person_id}/remove",
    summary="Take an added signer off the list",
    **_SAID,
)
async def remove_signer(saying: SayingDep, person_id: Key, body: Reasoned, response: Response) -> DecisionView:
    """By who added them, or operations, as long as they have not decided."""
    return await saying.answer({"action": "remove_signer", "to": person_id, "comment": body.reason}, response)


@router.post(
    "/v1/approvals/{approval_id}/cc",
    summary="Have somebody told",
    **_SAID,
)
async def copy_approval(saying: SayingDep, body: CopyTo, response: Response) -> DecisionView:
    """By who decides, or operations: the person sees the approval and hears how it ends, and never decides."""
    return await saying.answer({"action": "copy", "to": body.to, "comment": body.comment}, response)
