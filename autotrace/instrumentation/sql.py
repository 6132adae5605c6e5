"""SQL as it may be told: without the values in it, and in a few words.

What an application writes into a statement instead of passing it as a parameter may be anybody's
secret. So every literal becomes `?`, and comments go, hints with them. Where databases would read the
same text differently and the one at hand is not known, the rest of the statement is hidden.

Spec: https://opentelemetry.io/docs/specs/semconv/db/database-spans/#sanitization-of-dbquerytext
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from autotrace.instrumentation import sql_tokens as kinds
from autotrace.instrumentation.sql_summary import Summary
from autotrace.instrumentation.sql_tokens import dialect_of, end_of_comment

if TYPE_CHECKING:
    from typing import Any, Final

    from autotrace.instrumentation.sql_tokens import Dialect

MAX_INPUT: Final = 32_768
"""Characters that are read: what comes later is left out."""

MAX_TEXT: Final = 8192
"""Characters kept of the sanitised text."""

MAX_CACHED: Final = 16_384
"""Statements longer than this are read each time: mostly they hold data and never come again."""

MAX_NAME: Final = 130
"""Characters of a quoted name, quotes included; no database allows longer ones."""

_BLANK: Final = frozenset({kinds.SPACE, kinds.COMMENT, kinds.NESTED})
_IN_QUOTES: Final = frozenset({kinds.QUOTED, kinds.NAME})
_CLOSING: Final = {'"': '"', "`": "`", "[": "]"}
_MAX_STATEMENTS: Final = 512
_MAX_HELD: Final = 1_048_576
_CUT: Final = " ..."

_FOLLOWING: Final = re.compile(r"\s*([.=])")
_ITEM: Final = r"[-+]?(\?|%s)"
_LIST: Final = re.compile(rf"(\bIN ?\( ?){_ITEM}(?: ?, ?[-+]?\2)+(?: ?\)|[ ,]*\Z)", re.IGNORECASE)
_ROWS: Final = re.compile(
    r"(\bVALUES ?(?:ROW ?)?\([^()]*\))(?: ?, ?(?:ROW ?)?\([^()]*(?:\)|\Z))+(?:[ ,]+\Z)?", re.IGNORECASE
)


class Statement:
    """What there is to say about one text. Shared: nobody changes it."""

    __slots__ = ("attributes", "operation", "summary", "text")

    def __init__(self, text: str, summary: Summary) -> None:
        self.text = text
        """Sanitised, 8 KiB at most."""
        self.summary = summary.text()
        """`SELECT users`; empty where there is nothing but comments."""
        self.operation = summary.operation or (summary.parts[0] if summary.parts else "")
        """The first verb as it is written, that of the query itself where it starts with WITH."""
        self.attributes: dict[str, Any] = {"db.query.text": text} if text else {}
        """`db.query.*`, and `db.operation.name` of a single statement: with several it would be a guess."""
        if self.summary:
            self.attributes["db.query.summary"] = self.summary
            if summary.statements <= 1:
                self.attributes["db.operation.name"] = self.operation

    def __repr__(self) -> str:
        return f"Statement({self.text!r}, {self.summary!r})"


_known: dict[str, dict[str, Statement]] = {}
_held: dict[str, int] = {}


def statement(text: str, dialect: str = "") -> Statement:
    """What `text` says. Never raises for a `str`; 0.1 us for one that is remembered.

    Args:
        text: SQL, well-formed or not.
        dialect: The `db.system.name`; the empty one is read in the way that hides most.
    """
    try:
        return _known[dialect][text]
    except KeyError:
        return _learn(text, dialect)


def _learn(text: str, dialect: str) -> Statement:
    found = _read(text, dialect_of(dialect))
    if len(text) <= MAX_CACHED:
        # Threads may race here: at worst a statement is read once more.
        known = _known.setdefault(dialect, {})
        held = _held.get(dialect, 0) + len(text) + len(found.text)
        if len(known) >= _MAX_STATEMENTS or held > _MAX_HELD:
            known.clear()
            held = 0
        _held[dialect] = held
        known[text] = found
    return found


def _read(text: str, dialect: Dialect) -> Statement:
    summary = Summary()
    sanitised, complete = _sanitise(text[:MAX_INPUT], dialect, summary)
    sanitised = _ROWS.sub(r"\1", _LIST.sub(r"\1\2)", sanitised)).strip()
    if len(sanitised) > MAX_TEXT:
        sanitised = sanitised[:MAX_TEXT]
        sanitised = sanitised.rpartition(" ")[0] or sanitised
        complete = False
    if not complete or len(text) > MAX_INPUT:
        sanitised += _CUT
    return Statement(sanitised, summary)


def _sanitise(text: str, dialect: Dialect, summary: Summary) -> tuple[str, bool]:
    """The text without literals and comments, and whether that is all of it. One pass."""
    out: list[str] = []
    match = dialect.token.match
    position, end = 0, len(text)
    while position < end:
        token = match(text, position)
        assert token is not None  # MARK takes any character
        kind = token.lastgroup
        position = token.end()
        if kind in _BLANK:
            if kind == kinds.NESTED:
                position = end_of_comment(text, token.start())
            if out and out[-1] != " ":
                out.append(" ")
        elif kind == kinds.DOUBT or summary.password_next:
            out.append("?")
            return "".join(out), False
        else:
            out.append(_told(kind, token, dialect, summary))
    return "".join(out), True


def _told(kind: str | None, token: re.Match[str], dialect: Dialect, summary: Summary) -> str:
    """Tell the summary about a token, and return what may be written of it."""
    piece = token[0]
    if kind == kinds.WORD:
        summary.word(piece)
    elif kind == kinds.MARK:
        summary.mark(piece)
    elif kind == kinds.PLACEHOLDER:
        if piece != "::":
            summary.placeholder()
    elif kind in _IN_QUOTES and _is_name(token, dialect, summary):
        summary.name(piece)
    else:
        literals = dialect.literal.findall(piece) if kind == kinds.LITERALS and "," in piece else [piece]
        summary.literals(literals)
        return ", ".join("?" * len(literals))
    return piece


def _is_name(token: re.Match[str], dialect: Dialect, summary: Summary) -> bool:
    """Whether it is closed, as short as names are, and not a string in double quotes."""
    piece = token[0]
    closing = _CLOSING[piece[0]]
    if len(piece) > MAX_NAME or (piece.count(closing) + (closing == "]")) % 2:
        return False
    if closing != '"' or dialect.quotes_names:
        return True
    following = _FOLLOWING.match(token.string, token.end())
    return summary.is_name(following[1] if following else "")
