"""Frozen dataclasses to plain JSON values and back, led by their annotations. It reads and writes nothing itself.

Dataclasses become objects (fields at their default are left out), enums their values, tuples arrays. A mapping becomes
an object where its keys are text, else an array of pairs. Numbers that are not finite become text, since JSON has no
other word for them. What is annotated as `Any` must be plain JSON already and is kept as it is.
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

from optimizer.errors import InvalidInput

Json: TypeAlias = Any
"""A plain JSON value: None, bool, int, float, str, list of them, or dict of them by str."""

T = TypeVar("T")


def to_plain(value: object) -> Json:
    """Return `value` as plain JSON.

    Raises
    ------
    InvalidInput
        For a type this module does not know.
    """
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {str(to_plain(key)): to_plain(item) for key, item in value.items()}
    if isinstance(value, Mapping):
        return [[to_plain(key), to_plain(item)] for key, item in value.items()]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in _list_told_fields(value)}
    raise InvalidInput("value", "a dataclass, enum, tuple, mapping or plain value", value)


def from_plain(kind: type[T], plain: Json) -> T:
    """Return the `kind` that `plain` tells; ``from_plain(type(x), to_plain(x)) == x``.

    Raises
    ------
    InvalidInput
        Naming what is missing, unknown or of another type.
    """
    return _decode(kind, plain)  # type: ignore[no-any-return]


def _list_told_fields(value: Any) -> list[dataclasses.Field[Any]]:
    return [field for field in dataclasses.fields(value) if not _is_default(field, getattr(value, field.name))]


def _is_default(field: dataclasses.Field[Any], value: object) -> bool:
    if field.default is not dataclasses.MISSING:
        return type(value) is type(field.default) and value == field.default
    if field.default_factory is not dataclasses.MISSING:
        return bool(value == field.default_factory())
    return False


@cache
def _get_hints(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _decode(kind: Any, plain: Json) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return plain
    if origin in (Union, types.UnionType):
        return _decode_optional(arguments, plain)
    if origin is tuple:
        return _decode_tuple(arguments, _check(list, plain))
    if origin is not None and issubclass(origin, Mapping):
        return {_decode(arguments[0], key): _decode(arguments[1], item) for key, item in _list_pairs(plain)}
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(kind, _check(dict, plain))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _decode_enum(kind, plain)
    return _decode_scalar(kind, plain)


def _list_pairs(plain: Json) -> list[tuple[Json, Json]]:
    if isinstance(plain, dict):
        return list(plain.items())
    pairs = [_check(list, pair) for pair in _check(list, plain)]
    if any(len(pair) != 2 for pair in pairs):
        raise InvalidInput("array", "of pairs", plain)
    return [(key, item) for key, item in pairs]


def _decode_optional(arguments: tuple[Any, ...], plain: Json) -> Any:
    if plain is None and types.NoneType in arguments:
        return None
    (kind,) = (argument for argument in arguments if argument is not types.NoneType)
    return _decode(kind, plain)


def _decode_tuple(arguments: tuple[Any, ...], items: list[Json]) -> tuple[Any, ...]:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_decode(arguments[0], item) for item in items)
    if len(items) != len(arguments):
        raise InvalidInput("array", f"of {len(arguments)} entries", len(items))
    return tuple(_decode(kind, item) for kind, item in zip(arguments, items, strict=True))


def _decode_dataclass(kind: Any, plain: dict[str, Json]) -> Any:
    hints = _get_hints(kind)
    unknown = plain.keys() - hints.keys()
    if unknown:
        raise InvalidInput(kind.__name__, f"free of unknown fields (knows {sorted(hints)})", sorted(unknown))
    try:
        return kind(**{name: _decode(hints[name], item) for name, item in plain.items()})
    except TypeError as cause:
        raise InvalidInput(kind.__name__, "complete", sorted(plain)) from cause


def _decode_enum(kind: type[Enum], plain: Json) -> Enum:
    try:
        return kind(plain)
    except ValueError as cause:
        raise InvalidInput(kind.__name__, f"one of {[entry.value for entry in kind]}", plain) from cause


def _decode_scalar(kind: Any, plain: Json) -> Any:
    if kind is float and isinstance(plain, str) and plain in ("inf", "-inf"):
        return float(plain)
    if kind is float and isinstance(plain, int) and not isinstance(plain, bool):
        return float(plain)
    return _check(kind, plain)


def _check(kind: type[T], plain: Json) -> T:
    if type(plain) is not kind:
        raise InvalidInput("value", f"of type {kind.__name__}", plain)
    return plain
