"""Working calendars: the week, the holidays and the single days by which approvals count their time."""
