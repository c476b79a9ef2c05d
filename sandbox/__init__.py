"""Flows tried as the real workflow runs them, on a clock that skips and with parties and people who are made up.

Nothing here knows a database: what is tried can never be seen among real orders.
"""
