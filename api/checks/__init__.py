"""Checks, and the discrepancies that they have found."""
