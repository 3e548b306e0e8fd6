"""Keeps somebody in step with the configuration file: a good change is applied, a bad one reported once and refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from adapter.config.load import ConfigurationWatcher, LoadedConfiguration
from adapter.errors import ConfigurationError
from adapter.telemetry import Telemetry, log_event

_AT_NEXT_START = ("listen", "publishing", "state", "kubernetes")


class ConfigurationPoll:
    """Looks at the file when asked, so that nothing is swapped while somebody works with it.

    Parameters
    ----------
    watcher
        Looks at the file.
    apply
        Called with every good change; raises ConfigurationError when it cannot be used after all.
    telemetry
        Counts changes.
    """

    def __init__(
        self, watcher: ConfigurationWatcher, apply: Callable[[LoadedConfiguration], None], telemetry: Telemetry
    ) -> None:
        self._watcher, self._apply, self._telemetry = watcher, apply, telemetry
        self._started = watcher.current.configuration

    def poll(self) -> None:
        """Look once; nothing is raised."""
        try:
            changed = self._watcher.poll()
            if changed is not None:
                self._apply(changed)
                self._report(changed)
        except ConfigurationError as refusal:
            self._telemetry.count_reload(applied=False)
            log_event("configuration_refused", level="error", problems=list(refusal.problems))

    def _report(self, loaded: LoadedConfiguration) -> None:
        self._telemetry.count_reload(applied=True)
        present, started = loaded.configuration, self._started
        waiting = [name for name in _AT_NEXT_START if getattr(present, name) != getattr(started, name)]
        log_event("configuration_applied", models=len(loaded.settings.models), at_next_start=waiting)


@contextmanager
def blame_ca_file() -> Iterator[None]:
    """Turn what the collector says of the file of authorities into a problem of the configuration."""
    try:
        yield
    except OSError as cause:  # among them ssl.SSLError
        raise ConfigurationError((f"collection.tls.ca_file cannot be used: {cause}",)) from cause
