"""The servers that all other tests rely on."""

from datetime import UTC, datetime

from sqlalchemy import text
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest

from migrations.upgrade import check_models, is_at_head
from runtime.temporal import ensure_search_attributes, missing_search_attributes, set_retention
from tests.conftest import Database, StartClock, Temporal
from workflows.search_attributes import SEARCH_ATTRIBUTES


async def test_a_test_database_is_at_the_newest_schema_and_the_models_say_no_more(database: Database) -> None:
    assert await is_at_head(database.engine)
    await check_models(database.engine)


async def test_a_test_database_is_not_seen_by_the_next_test_first(database: Database) -> None:
    await _leave_a_mark(database)


async def test_a_test_database_is_not_seen_by_the_next_test_second(database: Database) -> None:
    await _leave_a_mark(database)


async def test_times_come_back_in_utc(database: Database) -> None:
    moment = datetime(2026, 11, 22, 16, 30, tzinfo=UTC)
    async with database.sessions() as session:
        connection = await session.connection()
        returned = (await connection.execute(text("SELECT CAST(:moment AS timestamptz)"), {"moment": moment})).scalar()
    assert returned == moment
    assert returned.utcoffset() == moment.utcoffset()


async def test_search_attributes_are_registered_once_and_for_all(temporal: Temporal) -> None:
    await ensure_search_attributes(temporal.client, SEARCH_ATTRIBUTES)
    await ensure_search_attributes(temporal.client, SEARCH_ATTRIBUTES)
    assert await missing_search_attributes(temporal.client, SEARCH_ATTRIBUTES) == []


async def test_retention_is_set_in_days(temporal: Temporal) -> None:
    await set_retention(temporal.client, 30)
    described = await temporal.client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="default"))
    assert described.config.workflow_execution_retention_ttl.seconds == 30 * 86_400


async def test_each_clock_that_skips_is_a_server_of_its_own(time_skipping: StartClock) -> None:
    first, second = await time_skipping(), await time_skipping()
    assert first.client.service_client.config.target_host != second.client.service_client.config.target_host
    await first.sleep(86_400)
    ahead = await first.get_current_time() - await second.get_current_time()
    assert round(ahead.total_seconds() / 60) == 1440


async def _leave_a_mark(database: Database) -> None:
    async with database.engine.begin() as connection:
        await connection.execute(text("CREATE TABLE mark (id int)"))
