"""Why a real control plane cannot run on this machine."""


class Unavailable(Exception):
    """No control plane here, for the reason given."""
