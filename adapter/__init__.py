"""The world: clocks, sockets, files and clusters around the pure optimizer."""

__version__ = "0.1.0"
