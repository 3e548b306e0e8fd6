"""Values of labels and annotations: text to what it means. Pure; knows no key.

Every `parse_` function raises `ValueError` whose message is what is allowed, such as ``a whole number >= 1``.
"""

from __future__ import annotations

from adapter.config.quantities import parse_count, parse_duration_s, parse_number
from adapter.config.schema import EngineName
from adapter.config.schema.names import NAME
from adapter.errors import BadDocument
from adapter.kube.wire_times import parse_time_s
from optimizer.domain import Override, OverrideMode, Role

OVERRIDE_BOUND = "shadow, pause or pin=N with a whole number N >= 0"
_ROLE_ALIASES = {"prefill-decode": Role.BOTH}
_LONGEST_TEXT = 1024


def parse_text(text: str) -> str:
    """Return a text of one line."""
    bare = text.strip()
    if not bare or not bare.isprintable() or len(bare) > _LONGEST_TEXT:
        raise ValueError("a text of one line")
    return bare


def parse_name(text: str) -> str:
    """Return a name, as of a variant."""
    bare = text.strip()
    if not NAME.admits(bare):
        raise ValueError(NAME.name)
    return bare


def parse_positive_count(text: str) -> int:
    """Return a whole number from 1 on."""
    return _check_count(text, 1, "a whole number >= 1")


def parse_replicas(text: str) -> int:
    """Return a whole number from 0 on."""
    return _check_count(text, 0, "a whole number >= 0")


def parse_port(text: str) -> int:
    """Return a TCP port."""
    bound = "a port between 1 and 65535"
    port = _check_count(text, 1, bound)
    if port > 65535:
        raise ValueError(bound)
    return port


def parse_price_per_hour(text: str) -> float:
    """Return a price [currency/h]."""
    bound = "a number >= 0, the price of one replica per hour"
    try:
        price_per_hour = parse_number(text)
    except ValueError as cause:
        raise ValueError(bound) from cause
    if price_per_hour < 0:
        raise ValueError(bound)
    return price_per_hour


def parse_startup_s(text: str) -> float:
    """Return a duration [s] from text with its unit."""
    return parse_duration_s(text)


def parse_path(text: str) -> str:
    """Return a path of a URL."""
    bare = text.strip()
    if not bare.startswith("/") or any(character.isspace() for character in bare):
        raise ValueError("a path that begins with /")
    return bare


def parse_engine(text: str) -> str:
    """Return the name of an engine whose pages can be read."""
    engine = text.strip().lower()
    if engine not in [known.value for known in EngineName]:
        raise ValueError(" or ".join(known.value for known in EngineName))
    return engine


def parse_roles(text: str) -> tuple[Role, ...]:
    """Return one role, or several separated by commas."""
    words = [word.strip().lower() for word in text.split(",")]
    try:
        roles = [_ROLE_ALIASES.get(word) or Role(word) for word in words]
    except ValueError as cause:
        raise ValueError("both, prefill or decode") from cause
    return tuple(dict.fromkeys(roles))


def parse_names(text: str) -> tuple[str, ...]:
    """Return names separated by commas."""
    names = [name.strip() for name in text.split(",")]
    if not all(name and name.isprintable() for name in names):
        raise ValueError("names separated by commas")
    return tuple(dict.fromkeys(names))


def parse_flag(text: str) -> bool:
    """Return whether `text` is ``true``; everything else is not."""
    return text.strip() == "true"


def parse_override(text: str) -> Override:
    """Return the override that ``shadow``, ``pause`` or ``pin=3`` means, without who and until when."""
    mode, equals, number = text.strip().partition("=")
    try:
        if mode.strip() == OverrideMode.PIN and equals:
            return Override(OverrideMode.PIN, parse_replicas(number), source="annotation")
        if not equals and mode in (OverrideMode.SHADOW, OverrideMode.PAUSE):
            return Override(OverrideMode(mode), source="annotation")
    except ValueError as cause:
        raise ValueError(OVERRIDE_BOUND) from cause
    raise ValueError(OVERRIDE_BOUND)


def parse_moment_s(text: str) -> float:
    """Return a moment [Unix s]."""
    try:
        return parse_time_s(text.strip())
    except BadDocument as cause:
        raise ValueError("a time such as 2027-01-31T18:00:00Z") from cause


def _check_count(text: str, least: int, bound: str) -> int:
    try:
        count = parse_count(text)
    except ValueError as cause:
        raise ValueError(bound) from cause
    if count < least:
        raise ValueError(bound)
    return count
