"""Shows text: in place on a terminal, as lines that follow each other elsewhere. It composes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import TextIO

_UP_AND_CLEAR = "\x1b[{lines}A\x1b[J"


class Screen:
    """Where a demo shows itself.

    Parameters
    ----------
    stream
        Where the text goes.
    is_plain
        Whether lines only follow each other, even on a terminal.
    """

    def __init__(self, stream: TextIO, is_plain: bool) -> None:
        self._stream = stream
        self.is_live = stream.isatty() and not is_plain
        self._shown = 0

    @property
    def width(self) -> int:
        """Columns there are."""
        return shutil.get_terminal_size((160, 40)).columns if self.is_live else 400

    def say(self, text: str) -> None:
        """Add lines that stay, above the block that is refreshed."""
        self._erase()
        print(text, file=self._stream, flush=True)

    def refresh(self, lines: Sequence[str]) -> None:
        """Show a block in the place of the one before; where nothing can be replaced, after it."""
        self._erase()
        print("\n".join(lines), file=self._stream, flush=True)
        self._shown = len(lines) if self.is_live else 0

    def keep(self) -> None:
        """Let the block that was shown last stay."""
        self._shown = 0

    def _erase(self) -> None:
        if self._shown:
            self._stream.write(_UP_AND_CLEAR.format(lines=self._shown))
            self._shown = 0
