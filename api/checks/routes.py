"""/v1/checks and /v1/discrepancies: what must agree, what does not, and why."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query

from api.checks.schemas import Checks, CheckView, DiscrepancyQuery, DiscrepancyView, Explanation, RunView
from api.dependencies import SessionDep, requires
from api.paging import ExchangeDep, Keyset, Page, page_of
from domain.access import Permission, Principal
from models.columns import now
from models.consistency import Discrepancy
from store import discrepancies
from store.checks.catalogue import CHECKS

router = APIRouter(tags=["checks"])
_NEWEST: Final = Keyset("discrepancies", (int,))
Reader = Annotated[Principal, requires(Permission.CHECKS_READ)]
Explainer = Annotated[Principal, requires(Permission.CHECKS_EXPLAIN)]


@router.get("/v1/checks", summary="What must agree, and how often it does not")
async def list_checks(_caller: Reader, session: SessionDep) -> Checks:
    many, run = await discrepancies.count_open(session), await discrepancies.last_run(session)
    data = [
        CheckView(check=check.name, invariant=check.invariant, severity=check.severity, open=many.get(check.name, 0))
        for check in CHECKS
    ]
    return Checks(data=data, last_run=RunView.model_validate(run.model_dump()) if run else None, next_cursor=None)


@router.get("/v1/discrepancies", summary="List what does not agree")
async def list_discrepancies(
    query: Annotated[DiscrepancyQuery, Query()], _caller: Reader, session: SessionDep, exchange: ExchangeDep
) -> Page[DiscrepancyView]:
    after = _NEWEST.decode(query.cursor)
    rows = await discrepancies.page(session, query.wanted(), after[0] if after else None, query.limit + 1)
    return page_of(rows, query, exchange, (_NEWEST, lambda row: (row.discrepancy_id or 0,)), _view)


@router.post("/v1/discrepancies/{discrepancy_id}/explain", summary="Say why it is so")
async def explain_discrepancy(
    discrepancy_id: Annotated[int, Path(ge=1, le=2**63 - 1)], body: Explanation, caller: Explainer, session: SessionDep
) -> DiscrepancyView:
    """It stays explained for as long as it is the same. Saying it again says it anew."""
    found = await discrepancies.explain(session, discrepancy_id, caller.actor, body.reason, now())
    await session.commit()
    return _view(found)


def _view(row: Discrepancy) -> DiscrepancyView:
    return DiscrepancyView.model_validate(row.model_dump())
