"""Named time-outs and retry policies: one per kind of call, each with its reason."""

from datetime import timedelta

from temporalio.common import RetryPolicy

# A row lock or a failing-over database is back within seconds; after that the step is repeated as an ordinary
# activity, where operators see it with its failure.
LOCAL_STEP_WITHIN = timedelta(seconds=8)
# Counted, because the time-out bounds one attempt only: a database that refuses at once would be asked without end,
# out of everybody's sight. Six attempts take three seconds.
LOCAL_STEP_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=100), maximum_interval=timedelta(seconds=2), maximum_attempts=6
)

# What can be done in one go is tried once; whatever is not done then is asked for by itself.
# Longer than a step by itself: with many in line, giving up would only make the line longer.
ADVANCE_WITHIN = timedelta(seconds=15)
ONCE = RetryPolicy(maximum_attempts=1)

# Our own database is expected back, however long it takes; giving up would only move the wait elsewhere.
DATABASE_STEP = timedelta(seconds=30)
DATABASE_STEP_RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30))

# One call of an outside party: it answers within a minute or the attempt counts as lost and is looked up again.
PARTY_CALL = timedelta(seconds=60)
# A worker that died within a call is not waited for until that minute is over.
PARTY_SIGN_OF_LIFE = timedelta(seconds=5)
# Half an hour of trying bridges restarts and deployments on the other side; then a person has to know.
PARTY_GIVES_UP = timedelta(minutes=30)
# Money that is owed and cannot be sent is told within five minutes; it is tried on for as long as it takes.
REFUND_GIVES_UP = timedelta(minutes=4)
PARTY_CALL_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=2, maximum_interval=timedelta(minutes=2)
)

# Undoing never ends by giving up: it is repeated for as long as it takes, visible in the exception lane meanwhile.
UNDO_PAUSE = timedelta(minutes=30)
# Most trouble is over soon, and money that is owed should not wait for half an hour each time.
_PAUSES = (timedelta(minutes=5), timedelta(minutes=10), timedelta(minutes=20))


def pause_before(tries: int) -> timedelta:
    """How long to wait after so many tries: 5, 10, 20 minutes, and half an hour from then on."""
    return _PAUSES[tries - 1] if tries <= len(_PAUSES) else UNDO_PAUSE


# A lane whose own database step said a final no is tried again, not in a tight loop.
LANE_PAUSE = timedelta(minutes=5)

# So many facts make a history long, whatever the server says of it: the order goes on in a new one when it next waits.
FACTS_IN_A_RUN = 1_000
# While more facts than this wait, a workflow task applies them for so long only: Temporal gives a task up, with all
# that was done in it, once a hundred signals have come in meanwhile.
LONG_LINE = 10
LONG_STRETCH = timedelta(seconds=1)
