"""What lists and pages show, each caller seeing only what exists for them. Nothing here writes."""
