"""`orderflow bench`: whole lives of orders on a stack of its own, measured, beside what Temporal alone would take."""
