"""Kinds of names that several sections share. Data only."""

from __future__ import annotations

from adapter.config.kinds import Text

NAME = Text("a name of letters, digits, '.', '_' or '-'", r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
KUBERNETES_NAME = Text(
    "a name of lower-case letters, digits, '-' or '.', as Kubernetes allows", r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?"
)
