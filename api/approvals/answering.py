"""Answers to what a person says to an approval: the decision's resource, at once or when it was heard."""

from typing import Annotated, Any

from fastapi import Depends, Response

from api.approvals.saying import PreferHeader, Speaker, heard, say, wait_in
from api.approvals.schemas import DecisionView
from api.dependencies import SessionDep, SessionsDep, requires
from api.fields import Key
from api.idempotency import REPLAYED, KeyDep
from api.inbox.door import HandOverDep
from domain.access import Permission, Principal

Decider = Annotated[Principal, requires(Permission.APPROVALS_DECIDE)]


class Saying:
    """One person's word on its way: said with `say`, answered with the decision's resource."""

    def __init__(
        self,
        approval_id: Key,
        caller: Decider,
        session: SessionDep,
        sessions: SessionsDep,
        hand_over: HandOverDep,
        key: KeyDep,
        prefer: PreferHeader = None,
    ) -> None:
        self._approval_id, self._key, self._prefer = approval_id, key, prefer
        self._speaker, self._sessions = Speaker(session, caller, hand_over), sessions

    async def answer(self, said: dict[str, Any], response: Response) -> DecisionView:
        """202 with where to look; 200 once it was heard within the time that the caller wanted to wait."""
        spoken = await say(self._speaker, self._approval_id, said, self._key)
        await self._speaker.session.commit()
        wait = wait_in(self._prefer)
        message, approval = await heard(self._sessions, spoken, wait)
        view = DecisionView.of(message, said["action"], approval)
        response.status_code = 202 if message.applied_at is None else 200
        response.headers["Location"] = view.links["self"]
        if wait:
            response.headers["Preference-Applied"] = f"wait={int(wait.total_seconds())}"
        if spoken.repeated:
            response.headers.update(REPLAYED)
        return view


SayingDep = Annotated[Saying, Depends(Saying)]
