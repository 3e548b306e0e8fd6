"""The pure half: same input, same output. No I/O, clock, logging, environment or global randomness."""
