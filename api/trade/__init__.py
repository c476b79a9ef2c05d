"""What kinds of trade ask for beyond the order itself: groups that buy together, and customs."""
