"""What the bench reads and tells; the bench itself is run by people, because its figures are the machine's, too."""

from collections import Counter

from cli.bench.figures import Figures
from cli.bench.histories import cost_of
from cli.bench.lives import Lives
from cli.bench.meter import Work, is_relays
from tests.replay import recorded

KEYS = {
    "orders_per_second",
    "ratio_to_bare",
    "history_events",
    "workflow_tasks",
    "activities",
    "sql_round_trips",
    "accept_ms",
    "life_s",
    "cpu_s_per_order",
    "memory_mb",
}


def test_an_ordinary_order_keeps_within_what_it_may_cost() -> None:
    cost = cost_of(recorded.load(recorded.files_of("order/completed")[-1]))
    assert cost.history_events <= 30
    assert cost.workflow_tasks <= 6
    # The carrier and the e-invoice provider answer at once there.
    assert cost.activities == cost.local_activities


def test_a_cost_says_what_was_asked_for_between_signals() -> None:
    cost = cost_of(recorded.load(recorded.files_of("order/completed")[-1]))
    assert cost.plan == ("local", "signal", "local", "signal", "local")


def test_figures_are_told_under_the_names_that_programs_rely_on() -> None:
    cost = cost_of(recorded.load(recorded.files_of("order/completed")[-1]))
    lives = Lives([f"SO-{number}" for number in range(100)], [0.01] * 100, [number / 10 for number in range(100)], 20.0)
    work = Work(cpu_s=Counter(worker=10), waits=Counter(orderflow_sql_round_trips_total=1_600))
    work.statements["SELECT 1 FROM outbox_messages"] = 100
    figures = Figures(lives, work, 100, 10.0, lives, [cost], {"worker": 123.4})
    told = figures.as_json()
    assert told.keys() >= KEYS
    assert (told["orders_per_second"], told["ratio_to_bare"], told["sql_round_trips"]) == (5.0, 0.5, 15.0)
    assert told["life_s"] == {"p50": 5.0, "p95": 9.5, "p99": 9.9}
    assert told["accept_ms"] == {"p50": 10.0, "p95": 10.0, "p99": 10.0}
    assert (told["cpu_s_per_order"], told["memory_mb"]) == ({"worker": 0.1}, {"worker": 123})


def test_what_relays_ask_is_told_from_what_orders_ask() -> None:
    assert is_relays("SELECT * FROM outbox_messages WHERE state = $1")
    assert not is_relays("WITH message AS (INSERT INTO outbox_messages (...)) SELECT pg_notify(...) FROM message")
    assert not is_relays("SELECT 1 FROM orders")
