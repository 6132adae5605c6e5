"""How the text of a variable becomes a value: one `Kind` per type.

A kind raises `ValueError` when the whole text is invalid, with words that go on from "NAME='text'"; it
complains, in the same words, when the text is usable in part.

Spec: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from autotrace.settings import lists

if TYPE_CHECKING:
    from collections.abc import Mapping
    from re import Pattern
    from typing import Final

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Complain = Callable[[str], None]

LARGEST: Final = 2**31 - 1

NO_LIMIT: Final = LARGEST / 1000
"""Seconds that a timeout of 0 stands for: the longest that sockets take."""

_SUSPICIOUS: Final = 100
"""Milliseconds below which a timeout was probably meant in seconds, as Python's own exporters read it."""


class Kind(Generic[T_co]):
    """A type of setting.

    Args:
        label: What to write, for the reference.
        read: Makes the value.
        show: Makes the text again.
        is_flag: Whether its option goes without a value.
    """

    __slots__ = ("is_flag", "label", "read", "show")

    def __init__(
        self,
        label: str,
        read: Callable[[str, Complain], T_co],
        show: Callable[[Any], str] = str,
        is_flag: bool = False,
    ) -> None:
        self.label = label
        self.read = read
        self.show = show
        self.is_flag = is_flag


def integer(least: int = 0, most: int = LARGEST) -> Kind[int]:
    """Make the kind of integers from `least` to `most`."""
    limits = f"from {least} to {most}" if most < LARGEST else f"of at least {least}"
    return Kind(f"integer {limits}", lambda text, _complain: _integer(text, least, most))


def choice(values: Mapping[str, T]) -> Kind[T]:
    """Make the kind of words, in any case, that stand for `values`."""
    label = ", ".join(values)

    def read(text: str, _complain: Complain) -> T:
        try:
            return values[text.lower()]
        except KeyError:
            raise ValueError(f"is not one of {label}") from None

    def show(value: object) -> str:
        return next(word for word, meaning in values.items() if meaning == value)

    return Kind(label, read, show)


def words(*values: str) -> Kind[str]:
    """Make the kind of `values`, in any case, each of which stands for itself."""
    return choice({value: value for value in values})


def _integer(text: str, least: int = 0, most: int = LARGEST) -> int:
    # int() also takes signs, underscores and foreign digits, and gives up at 4300 digits.
    if text.isascii() and text.isdigit() and len(text) <= len(str(LARGEST)) and least <= int(text) <= most:
        return int(text)
    raise ValueError(f"is not an integer from {least} to {most}")


def _boolean(text: str, complain: Complain) -> bool:
    word = text.lower()
    if word not in ("true", "false"):
        complain("is neither true nor false: taken as false")
    return word == "true"


def _duration(text: str, _complain: Complain) -> float:
    return _integer(text) / 1000


def _timeout(text: str, complain: Complain) -> float:
    milliseconds = _integer(text)
    if 0 < milliseconds < _SUSPICIOUS:
        complain(f"is in milliseconds: taken as {milliseconds / 1000:g} s (ten seconds are 10000)")
    return milliseconds / 1000 if milliseconds else NO_LIMIT


def _hours(text: str, _complain: Complain) -> float:
    return _integer(text, 1) * 3600.0


def _address(text: str, _complain: Complain) -> str:
    """A URL, or `host:port` as gRPC takes it."""
    _check_url(text if "://" in text else f"http://{text}")
    return text


def _url(text: str, complain: Complain) -> str:
    return with_scheme(_address(text, complain), complain)


def with_scheme(address: str, complain: Complain) -> str:
    """Read `host:port` as the user must have meant it."""
    if "://" in address:
        return address
    complain("has no scheme: http:// is put before it")
    return f"http://{address}"


def _check_url(text: str) -> None:
    from urllib.parse import urlsplit  # noqa: PLC0415 - only where an endpoint is set

    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # from `port`, and for brackets that are no IPv6 address
        sound = False
    if not sound or not text.isprintable() or " " in text:
        raise ValueError("is not an http or https URL")


def _show_ms(seconds: float) -> str:
    return str(round(seconds * 1000))


def _show_boolean(value: bool) -> str:
    return str(value).lower()


def _show_pairs(pairs: tuple[tuple[str, str], ...]) -> str:
    return ",".join(f"{key}={value}" for key, value in pairs)


def _show_functions(functions: tuple[tuple[str, str], ...]) -> str:
    return ",".join(f"{module}:{path}" for module, path in functions)


def _show_pattern(pattern: Pattern[str] | None) -> str:
    return "" if pattern is None else pattern.pattern


def _show_hosts(pattern: Pattern[str] | None) -> str:
    between = "" if pattern is None else pattern.pattern[len("(?:") : -len(r")\.?")]
    return between.replace(".*", "*").replace("\\", "").replace("|", ",")


TEXT: Final[Kind[str]] = Kind("text", lambda text, _complain: text)
WORD: Final[Kind[str]] = Kind("name", lambda text, _complain: text.lower())
BOOLEAN: Final[Kind[bool]] = Kind("true, false", _boolean, _show_boolean, is_flag=True)
DURATION: Final[Kind[float]] = Kind("milliseconds", _duration, _show_ms)
TIMEOUT: Final[Kind[float]] = Kind("milliseconds, 0 for no limit", _timeout, _show_ms)
HOURS: Final[Kind[float]] = Kind("hours", _hours, lambda seconds: str(round(seconds / 3600)))
ADDRESS: Final[Kind[str]] = Kind("URL", _address)
URL: Final[Kind[str]] = Kind("URL", _url)
LIST: Final[Kind[tuple[str, ...]]] = Kind("list", lambda text, _complain: lists.elements(text), ",".join)
NAMES: Final[Kind[tuple[str, ...]]] = Kind(
    "list of names", lambda text, _complain: lists.names(text), ",".join
)
PAIRS: Final[Kind[tuple[tuple[str, str], ...]]] = Kind(
    "list of key=value", lambda text, _complain: lists.attributes(text), _show_pairs
)
HEADERS: Final[Kind[tuple[tuple[str, str], ...]]] = Kind("list of name=value", lists.headers, _show_pairs)
SEARCHED: Final[Kind[Pattern[str] | None]] = Kind(
    "list of regular expressions", lists.searched, _show_pattern
)
SEARCHED_ANY_CASE: Final[Kind[Pattern[str] | None]] = Kind(
    "list of regular expressions, any case", lists.searched_any_case, _show_pattern
)
MATCHED: Final[Kind[Pattern[str] | None]] = Kind(
    "list of regular expressions, any case, whole name", lists.matched, _show_pattern
)
FUNCTIONS: Final[Kind[tuple[tuple[str, str], ...]]] = Kind(
    "list of module:function, module:Class.method, `*` for all", lists.functions, _show_functions
)
HOSTS: Final[Kind[Pattern[str] | None]] = Kind("list of host names, * for any text", lists.hosts, _show_hosts)
