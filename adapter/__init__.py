"""The world: clocks, sockets, files and clusters around the pure optimizer."""
