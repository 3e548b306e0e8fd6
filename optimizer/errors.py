"""The one exception the optimizer raises; everything the world refuses is a value, not an error.

    ValueError
    └── InvalidInput    a caller handed over something outside the documented bounds

This module imports nothing.
"""


class InvalidInput(ValueError):
    """A wrong call: the message reads ``<field> must be <bound>, got <value>``.

    Parameters
    ----------
    field
        Path of the offending argument, such as ``variant.max_replicas``.
    bound
        What is allowed, with its unit, such as ``>= 0 [replicas]``.
    value
        What was given.
    """

    def __init__(self, field: str, bound: str, value: object) -> None:
        self.field, self.bound, self.value = field, bound, value
        super().__init__(f"{field} must be {bound}, got {value!r}")
