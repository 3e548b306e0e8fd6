"""Seeded token-level engines and the loops around them, event by event. No I/O, no real time."""
