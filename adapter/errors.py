"""What the outside world does to us, mapped once by each I/O room to what the caller does about it.

    Exception
    └── AdapterError
        ├── ConfigurationError   the configuration cannot be used; carries every problem found   (exit code 2)
        ├── Unreachable          nobody answered, or too slowly; try again later
        ├── NotFound             the thing asked for does not exist
        ├── Refused              somebody answered and said no; trying again will not help
        │   ├── Denied           because of who we are
        │   ├── Conflict         because somebody else was faster, or it exists already; look again
        │   └── Expired          because what was asked for is too old; ask for everything
        └── BadDocument          an answer came that cannot be read

This module imports nothing.
"""


class AdapterError(Exception):
    """Root of everything the adapter raises on purpose."""


class ConfigurationError(AdapterError):
    """The configuration cannot be used.

    Parameters
    ----------
    problems
        Every problem found, one line each, beginning with the path of the field.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class Unreachable(AdapterError):
    """Nobody answered, or too slowly; try again later."""


class NotFound(AdapterError):
    """The thing asked for does not exist."""


class Refused(AdapterError):
    """Somebody answered and said no; trying again will not help."""


class Denied(Refused):
    """Somebody answered and said no because of who we are."""


class Conflict(Refused):
    """Somebody else was faster, or it exists already; look again."""


class Expired(Refused):
    """What was asked for is too old; ask for everything."""


class BadDocument(AdapterError):
    """An answer came that cannot be read."""
