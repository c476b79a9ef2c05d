"""Every check there is, in the order in which they are asked."""

from typing import Final

from store.checks import approvals, changes, credits, goods, money, progress
from store.checks.finding import Check

CHECKS: Final = (
    Check(goods.stock_is_what_movements_say),
    Check(goods.reserved_is_what_is_promised),
    Check(goods.lines_have_what_is_promised),
    Check(goods.lines_are_what_parcels_say),
    Check(money.entries_balance),
    Check(money.reversals_mirror_what_they_reverse),
    Check(money.inventory_in_the_books_is_what_stock_is_worth),
    Check(money.payments_are_in_the_books),
    Check(money.refunds_are_in_the_books),
    Check(money.orders_count_their_money),
    Check(credits.credits_are_what_was_given_up),
    Check(credits.no_credit_waits_for_a_return_that_is_over),
    Check(money.lines_are_invoiced_as_they_say),
    Check(money.invoices_sum_to_their_lines),
    Check(money.ended_orders_leave_nothing_to_invoice),
    Check(money.lines_count_what_was_granted),
    Check(money.numbers_have_no_gaps),
    Check(money.revenue_is_what_was_recognised),
    Check(money.ended_sales_owe_no_goods),
    Check(changes.changes_add_up_to_the_orders_total),
    Check(changes.changed_lines_have_the_units_agreed),
    Check(changes.changes_are_in_the_books_and_in_the_story),
    Check(progress.nothing_delivered_is_without_revenue),
    Check(progress.recognised_units_were_delivered),
    Check(progress.nothing_shipped_is_forgotten, "warning"),
    Check(progress.holds_have_an_owner_and_a_deadline),
    Check(progress.nothing_waits_without_a_deadline),
    Check(approvals.open_approvals_have_time_left_and_somebody_to_decide),
    Check(approvals.no_order_waits_for_an_approval_that_is_over),
    Check(approvals.ended_orders_ask_nobody),
    Check(approvals.who_waits_their_turn_waits_for_somebody),
    Check(approvals.nothing_is_approved_that_nobody_agreed_to),
    Check(progress.what_came_in_is_heard),
    Check(progress.what_others_must_hear_is_under_way, "warning"),
    Check(progress.stories_are_unbroken),
)
BY_NAME: Final = {check.name: check for check in CHECKS}
