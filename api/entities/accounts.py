"""/v1/entities/{entity_id}/accounts: which account plays which role in an entity's postings, and from when on."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Request
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import StreamingResponse

from api import csv_body
from api.dependencies import SessionDep, requires
from api.entities.schemas import AccountBody, AccountLine, AccountQuery, AccountView
from api.fields import Key
from api.masters import ImportReport, Master, answered, exported, imported, listed
from api.paging import ExchangeDep, Keyset, Page
from domain.access import Permission
from domain.posting.roles import Role
from models.masters import AccountMapping, LegalEntity
from store import masters
from store.masters import Put

router = APIRouter(tags=["entities"])
ACCOUNTS = Master(
    AccountMapping,
    AccountView.of,
    Keyset("accounts", (str, str, date)),
    lambda row: (row.entity_id, row.role, row.valid_from),
)
_readers = [requires(Permission.ENTITIES_READ)]
_writers = [requires(Permission.ENTITIES_WRITE)]


@router.get("/v1/entities/{entity_id}/accounts", summary="List accounts by role", dependencies=_readers)
async def list_accounts(
    entity_id: Key, query: Annotated[AccountQuery, Query()], session: SessionDep, exchange: ExchangeDep
) -> Page[AccountView]:
    await masters.get(session, LegalEntity, entity_id)
    return await listed(ACCOUNTS, session, query, exchange, query.of_entity(entity_id))


@router.get(
    "/v1/entities/{entity_id}/accounts.csv",
    summary="Export accounts by role",
    dependencies=_readers,
    response_class=StreamingResponse,
)
async def export_accounts(entity_id: Key, session: SessionDep, request: Request) -> StreamingResponse:
    await masters.get(session, LegalEntity, entity_id)
    return await exported(ACCOUNTS, request, AccountLine, AccountQuery().of_entity(entity_id))


@router.put(
    "/v1/entities/{entity_id}/accounts/{role}",
    summary="Put the account of a role from a date on",
    dependencies=_writers,
    responses={201: {"model": AccountView}},
)
async def put_account(
    entity_id: Key, role: Role, body: AccountBody, session: SessionDep, exchange: ExchangeDep
) -> AccountView:
    await masters.get(session, LegalEntity, entity_id)
    done = await masters.put(session, body.to_row(entity_id, role))
    return await answered(ACCOUNTS, session, done, exchange, entity_id, role.value, body.valid_from)


@router.post(
    "/v1/entities/{entity_id}/accounts:import",
    summary="Import accounts by role",
    dependencies=_writers,
    openapi_extra=csv_body.REQUEST_BODY,
)
async def import_accounts(entity_id: Key, request: Request, session: SessionDep) -> ImportReport:
    await masters.get(session, LegalEntity, entity_id)

    async def put_line(session: AsyncSession, line: AccountLine) -> Put:
        return await masters.put(session, line.to_row(entity_id, line.role))

    return await imported(request, session, AccountLine, put_line)
