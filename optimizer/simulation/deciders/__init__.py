"""Scalers of a simulated cluster: ours and those of others, each with what it ships. They see pages, never the truth."""
