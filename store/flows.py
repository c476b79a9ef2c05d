"""Published flow versions: stored once, immutable, and the ones in force."""

from collections.abc import Iterable, Sequence

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import DomainError
from domain.flow.definition import FlowDefinition
from models.order import FlowVersion


class FlowVersionDiffers(DomainError):
    """A published version exists with another content; publish the change as a new version."""

    code = "flow_version_differs"


async def publish(session: AsyncSession, flows: Iterable[FlowDefinition]) -> None:
    """Afterwards each of these versions is stored, now or since long. Raises FlowVersionDiffers."""
    for flow in flows:
        row = {
            "key": flow.key,
            "version": flow.version,
            "sha256": flow.fingerprint,
            "definition": flow.model_dump(mode="json", exclude_defaults=True),
        }
        await session.execute(insert(FlowVersion).values(row).on_conflict_do_nothing())
        stored = await session.get(FlowVersion, (flow.key, flow.version))
        if stored is None or stored.sha256 != flow.fingerprint:
            raise FlowVersionDiffers(key=flow.key, version=flow.version)


async def in_force(session: AsyncSession) -> Sequence[FlowDefinition]:
    """The newest version of every flow."""
    newest = text("(SELECT max(version) FROM flow_versions newer WHERE newer.key = flow_versions.key)")
    rows = (await session.exec(select(FlowVersion).where(col(FlowVersion.version) == newest))).all()
    return [FlowDefinition.model_validate(row.definition) for row in rows]


async def get(session: AsyncSession, key: str, version: int) -> tuple[FlowDefinition, str]:
    """A published version and the hash it was published under. Raises LookupError."""
    row = await session.get(FlowVersion, (key, version))
    if row is None:
        raise LookupError(f"flow {key} version {version} is not stored")
    return FlowDefinition.model_validate(row.definition), row.sha256
