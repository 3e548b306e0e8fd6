"""The seeded token-level engine: what one replica does with its requests, iteration by iteration. No I/O, no real time."""
