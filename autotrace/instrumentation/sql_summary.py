"""The summary of SQL: its operations and what they work on, in the order of the text.

No parser: it looks for names where the grammar of every database has a table or a procedure, and
would rather miss one than take a value for a name.

Spec: https://opentelemetry.io/docs/specs/semconv/db/database-spans/#generating-a-summary-of-the-query
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

MAX_SUMMARY: Final = 249
"""255 may be sent, and a batch puts `BATCH ` before it."""
_MAX_VERB: Final = 32

_NOWHERE: Final = 0
_NAMED: Final = 1
"""A name may come next, but a string would be a value."""
_TABLE: Final = 2
"""A table comes next, in quotes of whatever kind."""

_ALIAS: Final = 2
"""Words after a table that are at most its alias: `AS a`."""
_MUCH: Final = 9

_INSERTS: Final = frozenset({"INSERT", "REPLACE", "UPSERT", "MERGE"})
_CHANGES: Final = _INSERTS | {"UPDATE", "DELETE"}
_QUERIES: Final = frozenset({"SELECT", "UPDATE", "DELETE"})
"""What has a FROM clause."""
_ON_ONE_NAME: Final = frozenset({"CALL", "EXEC", "EXECUTE", "PRAGMA", "COPY"})
_ON_TABLES: Final = _CHANGES | {"TRUNCATE"}
_DEFINES: Final = frozenset({"CREATE", "ALTER", "DROP"})
_NO_QUERY: Final = frozenset({"GRANT", "REVOKE", "DENY", "SHOW", "COMMENT", "DO", "SET"})
"""What follows these reads like queries and is none."""
_JOINS: Final = frozenset({"JOIN", "STRAIGHT_JOIN", "APPLY"})
_INTO: Final = _INSERTS | {"SELECT", "LOAD", "COPY"}

_NAMED_THINGS: Final = frozenset(
    {"TABLE", "VIEW", "INDEX", "SEQUENCE", "SCHEMA", "DATABASE", "KEYSPACE", "TYPE", "DOMAIN", "EXTENSION"}
)
_THINGS_WITH_CODE: Final = frozenset(
    {"FUNCTION", "PROCEDURE", "PROC", "TRIGGER", "EVENT", "PACKAGE", "RULE", "AGGREGATE", "POLICY"}
)
_THINGS_UNNAMED: Final = frozenset(
    {"USER", "ROLE", "LOGIN", "SYSTEM", "SESSION", "SERVER", "SUBSCRIPTION", "CREDENTIAL", "SECRET"}
)
"""Their names are those of people and machines."""

_BEFORE_NAME: Final = frozenset(
    {
        *("INTO", "FROM", "TABLE", "ONLY", "LATERAL", "ON", "IF", "NOT", "EXISTS", "CONCURRENTLY", "TOP"),
        *("OR", "REPLACE", "IGNORE", "ABORT", "FAIL", "ROLLBACK", "OVERWRITE"),
        *("LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "QUICK", "TEMP", "TEMPORARY", "UNLOGGED"),
    }
)
_ENDS_TABLES: Final = frozenset(
    {
        *("WHERE", "GROUP", "ORDER", "HAVING", "LIMIT", "OFFSET", "FETCH", "FOR", "WINDOW", "QUALIFY", "SET"),
        *("UNION", "INTERSECT", "EXCEPT", "MINUS", "VALUES", "RETURNING", "OUTPUT", "CONNECT", "START"),
        *("PREWHERE", "SETTINGS", "FORMAT", "OPTION", "OUTFILE", "DUMPFILE", "IMMEDIATE", "STDIN"),
    }
)

_PLAIN_NAME: Final = re.compile(r"'[^\W\d][\w .$-]{0,62}'")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class _Level:
    """Inside one pair of parentheses, or outside all of them."""

    __slots__ = (
        "after",
        "at_start",
        "closed",
        "columns",
        "defines",
        "expect",
        "listing",
        "seen_from",
        "thing",
        "verb",
    )

    def __init__(self, *, at_start: bool = False, columns: bool = False) -> None:
        self.verb = ""
        self.at_start = at_start
        self.columns = columns
        """Whether these parentheses hold the columns of a table."""
        self.expect = _NOWHERE
        self.listing = False
        """Whether a comma or JOIN brings another table."""
        self.after = 0
        """Tokens since the last table, those that are no words counted as `_MUCH`."""
        self.seen_from = False
        self.defines = False
        """Whether the thing that CREATE makes is still to be named."""
        self.thing = ""
        self.closed = False
        """Whether nothing more is of interest up to the next statement."""


class Summary:
    """Is told every token and keeps the ones that matter."""

    __slots__ = (
        "_code",
        "_dots",
        "_level",
        "_levels",
        "_open",
        "operation",
        "parts",
        "password_next",
        "previous",
        "statements",
    )

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.operation = ""
        """The first verb outside of parentheses, common table expressions left aside."""
        self.statements = 0
        self.previous = ""
        """The last token: a word in upper case, a mark, or nothing for any other."""
        self.password_next = False
        """Whether the next token is a password: Oracle takes it without quotes."""
        self._level = _Level(at_start=True)
        self._levels = [self._level]
        self._dots = 0
        self._open = False
        """Whether the last token ended a name that a dot would continue."""
        self._code = False
        """Whether the rest is the body of a procedure, which does not run now."""

    def text(self) -> str:
        """The summary, no name cut short."""
        kept, length = [], -1
        for part in self.parts:
            length += len(part) + 1
            if length > MAX_SUMMARY:
                break
            kept.append(part)
        return " ".join(kept)

    # One method for each kind of token.

    def word(self, word: str) -> None:
        """Anything without quotes that starts like a name."""
        upper = word.upper()
        previous, self.previous = self.previous, upper
        if self._continues(word):
            return
        if upper == "BY" and previous == "IDENTIFIED":
            self.password_next = True
        level = self._level
        if self._code or level.closed:
            return
        if level.at_start:
            self._begin(word, upper, level)
        elif upper == "SELECT" or (upper in _CHANGES and self._may_change(level, previous)):
            self._query(word, upper, level)
        elif level.defines:
            self._define(word, upper, level)
        elif level.expect and upper not in _ENDS_TABLES:
            if upper not in _BEFORE_NAME:
                self._target(word, level)
        else:
            self._clause(upper, previous, level)

    def name(self, name: str) -> None:
        """A name in quotes that is certainly one."""
        self.previous = ""
        if self._continues(name):
            return
        if self._level.expect and not _CONTROL.search(name):
            self._target(name, self._level)
        else:
            self._other()

    def is_name(self, following: str) -> bool:
        """Whether double quotes with `following` after them can hold nothing but a name here."""
        level = self._level
        return (
            bool(self._dots)
            or following == "."
            or level.expect == _TABLE
            or (level.listing and not level.after)  # an alias
            or (self.previous == "AS" and level.verb == "SELECT")
            or (level.columns and self.previous in {"(", ","})
            or (following == "=" and level.verb == "UPDATE" and self.previous in {"SET", ","})
        )

    def literals(self, literals: list[str]) -> None:
        """Values; but where a table must come, a string is its name."""
        self.previous = ""
        self._dots = 0
        level = self._level
        if level.expect == _TABLE and all(map(_PLAIN_NAME.fullmatch, literals)):
            for literal in literals:
                self._target(literal, level)
            self._open = False
        else:
            self._other()

    def placeholder(self) -> None:
        """A value that is given elsewhere."""
        self.previous = ""
        self._dots = 0
        if self._level.verb in {"EXEC", "EXECUTE"}:
            self._open = False  # `EXEC @result = procedure`
        else:
            self._other()

    def mark(self, mark: str) -> None:
        """A bracket, a comma, an operator."""
        previous, self.previous = self.previous, mark
        if mark == ".":
            self._dots += 1
            return
        was_open, self._open = self._open, False
        self._dots = 0
        level = self._level
        if mark == "(":
            self._levels.append(self._inner(level, previous, was_open))
            self._level = self._levels[-1]
            level.after += _MUCH
        elif mark == ")":
            if len(self._levels) > 1:
                self._levels.pop()
                self._level = self._levels[-1]
        elif mark == ";":
            self._level = _Level(at_start=True)
            self._levels = [self._level]
        elif mark == ",":
            if level.listing and not level.expect:
                level.expect = _TABLE if level.after <= _ALIAS else _NAMED
        else:
            level.after += _MUCH

    # What they do with it.

    def _continues(self, name: str) -> bool:
        """Whether `name` belongs to the dots before it."""
        dots, self._dots = self._dots, 0
        if not dots:
            self._open = False
            return False
        if self._open:
            self.parts[-1] += "." * dots + name
        return True

    def _target(self, name: str, level: _Level) -> None:
        self.parts.append(name)
        self._open = True
        level.expect = _NOWHERE
        level.after = 0
        if level.thing in _THINGS_WITH_CODE and level.verb != "DROP":
            self._code = True

    def _other(self) -> None:
        self._open = False
        self._level.expect = _NOWHERE
        self._level.after += _MUCH

    def _begin(self, word: str, upper: str, level: _Level) -> None:
        """The first word of a statement or of what is in parentheses."""
        level.at_start = False
        if len(self._levels) > 1:
            if upper == "SELECT" or (upper in _CHANGES and level.verb == "WITH"):
                self._query(word, upper, level)
            elif upper == "WITH":
                level.verb = upper
            elif level.expect and upper not in _BEFORE_NAME:
                self._target(word, level)
            return
        self.statements += 1
        if upper == "WITH":
            level.verb = upper
        elif len(word) <= _MAX_VERB:
            self._query(word, upper, level)
            level.at_start = upper == "BEGIN"
            level.defines = upper in _DEFINES
            level.closed = upper in _NO_QUERY
            if upper in _ON_ONE_NAME:
                level.expect = _NAMED
        else:
            level.closed = True

    def _query(self, word: str, upper: str, level: _Level) -> None:
        self.parts.append(word)
        if not self.operation and len(self._levels) == 1:
            self.operation = word
        level.verb = upper
        level.seen_from = level.defines = False
        level.expect = _TABLE if upper in _ON_TABLES else _NOWHERE
        level.listing = upper in {"UPDATE", "DELETE", "TRUNCATE"}

    def _may_change(self, level: _Level, previous: str) -> bool:
        """Whether INSERT, UPDATE and the like begin an operation here: other clauses use these words too."""
        return (
            level.verb == "EXPLAIN"
            or (level.verb == "WITH" and previous == ")")
            or (level.verb == "PREPARE" and previous == "AS")
        )

    def _define(self, word: str, upper: str, level: _Level) -> None:
        """Look for the kind of thing that is made or dropped."""
        named = upper in _NAMED_THINGS or upper in _THINGS_WITH_CODE
        if not named and upper not in _THINGS_UNNAMED:
            return
        level.defines = False
        level.thing = upper
        self.parts[-1] += " " + word
        if named:
            level.expect = _NAMED
            level.listing = level.verb == "DROP"
        else:
            level.closed = True

    def _clause(self, upper: str, previous: str, level: _Level) -> None:
        """A word that is neither a verb nor a name: does it bring a table?"""
        level.after += 1
        if upper in _ENDS_TABLES:
            level.expect, level.listing = _NOWHERE, False
        elif self._brings_table(upper, previous, level):
            level.expect = _TABLE
        elif (upper == "INTO" and level.verb in _INTO) or (upper == "ON" and level.thing == "INDEX"):
            level.expect = _NAMED

    def _brings_table(self, upper: str, previous: str, level: _Level) -> bool:
        if upper == "FROM":
            # Only once for each SELECT: later ones belong to DISTINCT FROM, SYSTEM_TIME FROM and their like.
            if level.seen_from or level.verb not in _QUERIES or previous == "DISTINCT":
                return False
            level.seen_from = level.listing = True
            return True
        if upper in _JOINS:
            return level.listing
        return upper == "USING" and level.verb in {"MERGE", "DELETE"}

    def _inner(self, level: _Level, previous: str, was_open: bool) -> _Level:
        """What the parentheses hold that open now."""
        level.at_start = False
        inner = _Level(at_start=True, columns=was_open and (level.verb in _INSERTS or level.verb == "CREATE"))
        if previous in {"AS", "MATERIALIZED"}:
            inner.verb = "WITH"  # the body of a common table expression
        elif level.expect and previous != "TOP":
            if previous != "USING":  # which may hold columns
                inner.expect, inner.listing = level.expect, level.listing
                inner.verb = "SELECT" if level.listing else ""
                inner.seen_from = True
            level.expect = _NOWHERE
        return inner
