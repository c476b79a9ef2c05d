"""Posting rules: which roles of accounts each event of an order debits and credits. Balanced by construction."""
