"""What a fleet costs that knows the future: exact optimum, bounds and incumbents. It sees no trace and no simulator."""
