"""URLs without the secrets that travel in them.

Spec: https://opentelemetry.io/docs/specs/semconv/http/http-spans/ (url.full, url.query)
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

MAX_LENGTH: Final = 4096
"""Characters kept of a URL or of one of its parts."""

# The conventions' list of signatures, and the names under which applications pass secrets.
_TO_HIDE: Final = (
    r"(?i)((?:^|[?&;])(?:x-amz-(?:signature|credential|security-token)|awsaccesskeyid|signature|sig|x-goog-signature"
    r"|(?:access_?|refresh_?|id_?|auth_?|api_?|csrf_?)?token|api_?key|password|passwd|pwd|secret|client_?secret)=)[^&;#]+"
)
_CREDENTIALS: Final = r"^([a-zA-Z][a-zA-Z0-9+.-]*://)[^/?#@]*@"


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """When it is needed, not at start, and kept, whatever the application compiles."""
    return re.compile(pattern)


def redact_query(query: str) -> str:
    """A query string with the values of secret names replaced."""
    query = query[:MAX_LENGTH]
    return _compiled(_TO_HIDE).sub(r"\1REDACTED", query) if "=" in query else query


def redact_url(url: str) -> str:
    """A full URL without user, password and the values of secret names."""
    url = url[:MAX_LENGTH]
    if "@" in url:
        url = _compiled(_CREDENTIALS).sub(r"\1REDACTED:REDACTED@", url)
    return _compiled(_TO_HIDE).sub(r"\1REDACTED", url) if "=" in url else url
