"""Metric pages of the engines that the embedded fleet plays, rendered from the state of a token engine. No network."""
