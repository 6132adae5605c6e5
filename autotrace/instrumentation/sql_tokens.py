r"""Cuts SQL into tokens, the way each database quotes.

One regular expression per dialect. Strings, quoted names and comments that are not closed run to
the end of the text, so none of these alternatives can fail after a long way: matching is linear.

In a known dialect the text is read as the server reads it. In an unknown one, whatever two
databases would read differently (a backslash before a quote, `#`, `$tag$`, nested comments) is a
token of kind DOUBT that reaches to the end of the text: it is hidden as a whole.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Final

SPACE: Final = "space"
COMMENT: Final = "comment"
NESTED: Final = "nested"
"""The opening of a block comment that may hold others; `end_of_comment` finds where it ends."""
OPAQUE: Final = "opaque"
"""One literal, in quotes of its own kind."""
LITERALS: Final = "literals"
"""One or more literals with commas between; `Dialect.literal` finds each."""
QUOTED: Final = "quoted"
"""In double quotes; see `Dialect.quotes_names`."""
NAME: Final = "name"
"""In backticks or brackets."""
PLACEHOLDER: Final = "placeholder"
WORD: Final = "word"
MARK: Final = "mark"
"""Any other character."""
DOUBT: Final = "doubt"


class Dialect(NamedTuple):
    """How one database writes SQL."""

    token: re.Pattern[str]
    """Matches at any position; `lastgroup` is the kind."""
    literal: re.Pattern[str]
    """One literal of a LITERALS token."""
    quotes_names: bool
    """Whether double quotes always hold a name, never a string."""


# Letters, digits and what is not ASCII: PostgreSQL takes any of it as part of a name.
_START = r"[^\x00-@\[-^`{-\x7f\s\d]"
_PART = r"[^\x00-#%-/:-@\[-^`{-\x7f\s]"
_PART_BUT_DOLLAR = r"[^\x00-/:-@\[-^`{-\x7f\s]"
_WORD = f"{_START}{_PART}*"
# Swallows what follows without a space, be it `e-10`, `x1F`, `_000`, or the rest of a MySQL name like `2fa`.
_NUMBER = r"(?:\d|\.\d)(?:[eE][+-]?\d|[\w.])*"
_MONEY = rf"\$?{_NUMBER}"

_STRING = r"(?:[nNbBxX]|[uU]&)?'[^']*(?:''[^']*)*(?:'|\Z)"
_ESCAPED = r"'[^'\\]*(?:(?:''|\\[\s\S]?)[^'\\]*)*(?:'|\Z)"
_DOUBLE = r'"[^"]*(?:""[^"]*)*(?:"|\Z)'
_DOUBLE_ESCAPED = r'"[^"\\]*(?:(?:""|\\[\s\S]?)[^"\\]*)*(?:"|\Z)'
# Ends in one place whether a backslash escapes or not, and whether quotes come in threes or not.
_SURE = r"(?:[nNbBxXeE]|[uU]&)?'(?!'')[^'\\]*(?:(?:''|\\[^'])[^'\\]*)*'(?!')"
_DOUBLE_SURE = r'"(?!"")[^"\\]*(?:(?:""|\\[^"])[^"\\]*)*"(?!")'
# A string goes on after a line break, and keeps the escapes of its first part.
_POSTGRES_ESCAPED = rf"[eE]{_ESCAPED}(?:[ \t\f\v]*[\r\n](?:\s|--[^\r\n]*[\r\n])*{_ESCAPED})*"
_DOLLARS = rf"\$(?P<tag>(?:{_START}{_PART_BUT_DOLLAR}*)?)\$[\s\S]*?(?:\$(?P=tag)\$|\Z)"
_ORACLE_Q = (
    r"[nN]?[qQ]'(?:\[[\s\S]*?(?:\]'|\Z)|\{[\s\S]*?(?:\}'|\Z)|\([\s\S]*?(?:\)'|\Z)|<[\s\S]*?(?:>'|\Z)"
    r"|(?P<q>\S)[\s\S]*?(?:(?P=q)'|\Z)|\Z)"
)

_BACKTICKS = r"`[^`]*(?:``[^`]*)*(?:`|\Z)"
_BRACKETS = r"\[[^\]]*(?:\]|\Z)"
_SQL_SERVER_BRACKETS = r"\[[^\]]*(?:\]\][^\]]*)*(?:\]|\Z)"

_LINE = r"--[^\n]*"
_BLOCK = r"/\*[\s\S]*?(?:\*/|\Z)"
_BLOCK_OPENS = r"/\*"
# What an executable comment holds is code, which MySQL reads as such: only its brackets are removed.
_MYSQL_COMMENT = r"(?:--(?=\s|\Z)|#)[^\n]*|/\*(?!M?!)[\s\S]*?(?:\*/|\Z)|/\*M?!\d*|\*/(?!\*)"
_MYSQL_UNSURE = r"\*/[\s\S]*"
# Line comments for all: with a space after `--`, or with nothing on the line that could open a quote.
_SURE_COMMENT = (
    r"--(?=\s|\Z)[^\r\n]*(?=\r?\n|\Z)|(?:--|#)[^\r\n'\"`$*\[\\]*(?=\r?\n|\Z)"
    r"|/\*(?!M?!)[^*/]*(?:(?:\*(?!/)|/(?!\*))[^*/]*)*\*/"
)
_SUBSCRIPT = r"[^\]\['\"`\\$/#-]*\]"
_UNSURE = rf"(?:--|#|/\*|[nN]?[qQ]?'|[eExXbB]'|[uU]&'|\"|`|\[(?!{_SUBSCRIPT})|\$)[\s\S]*"

_FORMATS = rf"\?|%s|%\({_WORD}\)s"
_NAMED = rf"::|:{_WORD}|@{{1,2}}{_WORD}"


def _dialect(
    comment: str,
    literal: str,
    *,
    nested: str = "",
    opaque: str = "",
    quoted: str = _DOUBLE,
    name: str = "",
    placeholder: str = f"{_FORMATS}|{_NAMED}",
    doubt: str = "",
    word: str = _WORD,
    quotes_names: bool = False,
) -> Dialect:
    kinds = (
        (SPACE, r"\s+"),
        (COMMENT, comment),
        (NESTED, nested),
        (OPAQUE, opaque),
        (LITERALS, rf"(?:{literal})(?:\s*,\s*[-+]?(?:{literal}))*"),
        (QUOTED, quoted),
        (NAME, name),
        (PLACEHOLDER, placeholder),
        (DOUBT, doubt),
        (WORD, word),
        (MARK, r"[\s\S]"),
    )
    return Dialect(
        re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in kinds if pattern)),
        re.compile(literal),
        quotes_names,
    )


def _unknown() -> Dialect:
    return _dialect(
        _SURE_COMMENT,
        f"{_SURE}|{_MONEY}",
        quoted=_DOUBLE_SURE,
        name=rf"`[^`'\"\\$/#-]*`|\[{_WORD}(?: {_WORD})*\]",
        placeholder=rf"{_FORMATS}|{_NAMED}|\${_START}{_PART_BUT_DOLLAR}*(?!{_PART})",
        doubt=_UNSURE,
    )


def _postgresql() -> Dialect:
    return _dialect(
        r"--[^\r\n]*",
        f"{_POSTGRES_ESCAPED}|{_STRING}|{_NUMBER}",
        nested=_BLOCK_OPENS,
        opaque=_DOLLARS,
        placeholder=rf"{_FORMATS}|{_NAMED}|\$\d+",
        quotes_names=True,
    )


def _mysql() -> Dialect:
    return _dialect(
        _MYSQL_COMMENT,
        rf"[nNbBxX]?{_ESCAPED}|{_NUMBER}",
        quoted=_DOUBLE_ESCAPED,
        name=_BACKTICKS,
        doubt=_MYSQL_UNSURE,
    )


def _sqlite() -> Dialect:
    return _dialect(
        f"{_LINE}|{_BLOCK}",
        f"{_STRING}|{_NUMBER}",
        name=f"{_BACKTICKS}|{_BRACKETS}",
        placeholder=rf"%s|%\({_WORD}\)s|\?\d*|[:@$]{_PART}+",
    )


def _sql_server() -> Dialect:
    return _dialect(
        _LINE,
        f"{_STRING}|{_MONEY}",
        nested=_BLOCK_OPENS,
        name=_SQL_SERVER_BRACKETS,
        word=rf"#{{0,2}}{_START}(?:{_PART}|[#@])*",
    )


def _oracle() -> Dialect:
    return _dialect(
        f"{_LINE}|{_BLOCK}",
        f"{_STRING}|{_NUMBER}",
        opaque=_ORACLE_Q,
        placeholder=rf"{_FORMATS}|:{_PART}+",
        word=f"{_START}(?:{_PART}|#)*",
        quotes_names=True,
    )


_DIALECTS: Final = {
    "postgresql": _postgresql,
    "aws.redshift": _postgresql,
    "cockroachdb": _postgresql,
    "mysql": _mysql,
    "mariadb": _mysql,
    "sqlite": _sqlite,
    "microsoft.sql_server": _sql_server,
    "oracle.db": _oracle,
}


@functools.cache
def dialect_of(system: str) -> Dialect:
    """The dialect of a `db.system.name`; the careful one where it is not known."""
    return _DIALECTS.get(system, _unknown)()


_COMMENT_BRACKET: Final = re.compile(r"/\*|\*/")


def end_of_comment(text: str, start: int) -> int:
    """Where the block comment that opens at `start` ends, comments within comments included."""
    depth = 0
    for bracket in _COMMENT_BRACKET.finditer(text, start):
        depth += 1 if bracket[0] == "/*" else -1
        if not depth:
            return bracket.end()
    return len(text)
