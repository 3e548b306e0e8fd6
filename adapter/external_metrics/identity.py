"""Who asks: a user as Kubernetes knows it, and what every known user is a member of. Data only; no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from adapter.errors import BadDocument

ANONYMOUS_NAME = "system:anonymous"
AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
MASTERS = "system:masters"


@dataclass(frozen=True, slots=True)
class User:
    """One identity; it is a key of caches, hence all of it is immutable.

    Attributes
    ----------
    name
        User name.
    uid
        "" when not told.
    groups
        In the order told, never split.
    extra
        Further attributes with all their values, by key, sorted by key.
    """

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody said who asks."""
        return self.name == ANONYMOUS_NAME

    @property
    def is_master(self) -> bool:
        """Whether it may do everything, without asking."""
        return MASTERS in self.groups

    def as_authenticated(self) -> User:
        """Return the same user as a member of ``system:authenticated``, unless it is said to be unauthenticated."""
        if self.is_anonymous or AUTHENTICATED in self.groups or UNAUTHENTICATED in self.groups:
            return self
        return replace(self, groups=(*self.groups, AUTHENTICATED))


ANONYMOUS = User(ANONYMOUS_NAME, groups=(UNAUTHENTICATED,))


def decode_user(document: Mapping[str, Any]) -> User:
    """Return the user that ``status.user`` of a TokenReview describes.

    Raises
    ------
    BadDocument
        When it names nobody, or is of another form.
    """
    name, extra = document.get("username"), document.get("extra") or {}
    if not isinstance(name, str) or not name or not isinstance(extra, Mapping):
        raise BadDocument("the review of a token names no user")
    return User(
        name,
        str(document.get("uid") or ""),
        tuple(str(group) for group in document.get("groups") or ()),
        tuple(sorted((str(key), tuple(str(value) for value in values or ())) for key, values in extra.items())),
    )
