"""/v1/people/{person_id}/keys: the API keys a person acts with."""

from fastapi import APIRouter, Request, Response

from api.dependencies import SessionDep, requires
from api.fields import Key
from api.people.schemas import KeyGiven, Keys, KeyView, NewKey
from api.problem import in_body, unprocessable
from domain.access import Permission
from models.access import Person
from store import access, masters

router = APIRouter(tags=["people"])
_writers = [requires(Permission.KEYS_WRITE)]


@router.get("/v1/people/{person_id}/keys", summary="Keys of a person", dependencies=_writers)
async def list_keys(person_id: Key, session: SessionDep) -> Keys:
    await masters.get(session, Person, person_id)
    return Keys(data=[KeyView.of(key) for key in await access.keys_of(session, person_id)])


@router.post("/v1/people/{person_id}/keys", summary="Give a key", dependencies=_writers, status_code=201)
async def give_key(person_id: Key, body: NewKey, session: SessionDep, response: Response) -> KeyGiven:
    """The token is in this answer and nowhere else, ever."""
    person = await masters.get(session, Person, person_id)
    if not {role.value for role in body.roles} <= set(person.roles):
        raise unprocessable([in_body("#/roles", "roles_beyond_person", "The person does not have all these roles")])
    token = access.new_token()
    key = await access.add_key(session, person_id, token, body.to_grant())
    await session.commit()
    response.headers["Location"] = f"/v1/people/{person_id}/keys/{key.key_id}"
    return KeyGiven(token=token, key=KeyView.of(key))


@router.delete(
    "/v1/people/{person_id}/keys/{key_id}",
    summary="Revoke a key",
    dependencies=_writers,
    status_code=204,
)
async def revoke_key(person_id: Key, key_id: Key, session: SessionDep, request: Request) -> None:
    """Other processes stop taking the key within half a minute, this one at once."""
    await access.revoke_key(session, person_id, key_id)
    await session.commit()
    request.app.state.principals.forget()
