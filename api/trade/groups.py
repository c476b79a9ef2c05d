"""/v1/groups: how many orders a group needs, and until when."""

from typing import Annotated, Self

from fastapi import APIRouter
from pydantic import BaseModel, Field

from api.dependencies import SessionDep, requires
from api.fields import Body, Key, Moment
from domain.access import Permission, Principal
from models.trade import BuyingGroup
from store import trade

router = APIRouter(tags=["groups"])
Reader = Annotated[Principal, requires(Permission.ORDERS_READ)]
Writer = Annotated[Principal, requires(Permission.PRODUCTS_WRITE)]


class GroupBody(Body):
    """A group is complete with so many paid orders; without them all money goes back when it closes."""

    minimum_orders: Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
    closes_at: Moment


class GroupView(BaseModel):
    """A group, how many paid orders count for it now, and when it had its number."""

    group_id: str
    minimum_orders: int
    closes_at: Moment
    joined: int
    completed_at: Moment | None

    @classmethod
    def of(cls, row: BuyingGroup, joined: int) -> Self:
        return cls.model_validate(row.model_dump() | {"joined": joined})


@router.get("/v1/groups/{group_id}", summary="One group")
async def get_group(group_id: Key, _caller: Reader, session: SessionDep) -> GroupView:
    row = await trade.find_group(session, group_id)
    return GroupView.of(row, len(await trade.joined(session, group_id)))


@router.put("/v1/groups/{group_id}", summary="Put a group")
async def put_group(group_id: Key, body: GroupBody, _caller: Writer, session: SessionDep) -> GroupView:
    """Orders that wait already keep the time at which they began to wait until."""
    wanted = BuyingGroup(group_id=group_id, minimum_orders=body.minimum_orders, closes_at=body.closes_at)
    row = await trade.put_group(session, wanted)
    await session.commit()
    await session.refresh(row)
    return GroupView.of(row, len(await trade.joined(session, group_id)))
