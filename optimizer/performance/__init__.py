"""How long one replica takes for an iteration and for a request. No queues, no targets."""
