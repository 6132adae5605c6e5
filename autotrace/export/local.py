"""Spans into the local store, which is where they go when no backend is configured."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from autotrace import notices
from autotrace.export.records import Records
from autotrace.store.errors import StoreError
from autotrace.store.files import database_in
from autotrace.store.viewer_address import address

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Final

    from autotrace.export.exporter import Exporter
    from autotrace.settings import Settings
    from autotrace.store.records import SpanRecord
    from autotrace.tracing.span import Span

_NO_SQLITE: Final = "no sqlite3 in this interpreter"
_NOT_ENCODED: Final = "span could not be encoded"
_MIB: Final = 1024 * 1024


def from_settings(settings: Settings) -> Exporter:
    """The exporter for the store under the home directory."""
    path = database_in(settings.home, os.environ)
    if "traces_exporter" not in settings.sources:
        kept = f"no backend is configured: traces are kept in {path}, see them with `autotrace traces`"
        viewer = _shown_at(path, settings.service_name)
        notices.info(f"{kept} or at {viewer}" if viewer else kept)
    return LocalExporter(path, settings.store_max_mb * _MIB, settings.store_max_age)


def _shown_at(path: str, service: str) -> str:
    """Where `autotrace ui` shows them, while it runs."""
    url = address(path)
    if not url or not service:
        return url
    from urllib.parse import quote  # noqa: PLC0415 - for this line alone

    return f"{url}/?service={quote(service, safe='')}"


class LocalExporter:
    """Writes to the SQLite database at `path`.

    Args:
        path: Of the database, which is made with its directory when there is none.
        max_bytes: That its files may take.
        max_age: Seconds after which a trace is removed.
    """

    name = "local"

    def __init__(self, path: str, max_bytes: int, max_age: float) -> None:
        self.destination = path
        self._records = Records()
        try:
            # Late: an interpreter can be built without SQLite.
            from autotrace.store.writer import Writer  # noqa: PLC0415
        except ImportError:
            self._writer = None
            notices.warn(
                f"{_NO_SQLITE}: traces cannot be stored on this machine; name an endpoint to send them to"
            )
        else:
            self._writer = Writer(path, max_bytes, max_age)

    def export(self, spans: Sequence[Span], deadline: float) -> Mapping[str, int]:
        """Write `spans` in one transaction; see `Exporter`."""
        if self._writer is None:
            return {_NO_SQLITE: len(spans)}
        records: list[SpanRecord] = []
        for span in spans:
            try:
                records.append(self._records.of(span))
            except Exception:  # noqa: S112 - counted below: one odd span must not cost the batch
                continue
        try:
            unwritten = self._writer.write(records, deadline) + len(spans) - len(records)
        except StoreError as error:
            return {error.reason: len(spans)}
        return {_NOT_ENCODED: unwritten} if unwritten else {}

    def shutdown(self) -> None:
        """Close the store."""
        if self._writer is not None:
            self._writer.close()
