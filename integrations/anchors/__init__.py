"""The place outside of the database where the heads of the chains of events are kept."""
