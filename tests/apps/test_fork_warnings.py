"""From Python 3.12 on a fork beside a thread is warned of: ours must not be the one that stands there."""

from __future__ import annotations

from collections import Counter

PROGRAM = """
import os, sqlite3, time

def query(table):
    connection = sqlite3.connect(":memory:")
    connection.execute(f"CREATE TABLE {table} (id)")
    connection.close()

query("early")
for pause in (1, 1):  # until the worker has nothing to do
    time.sleep(pause)
    child = os.fork()
    query("mine")
    if child == 0:
        raise SystemExit
    assert os.waitpid(child, 0)[1] == 0
print("done")
"""


def test_forks_after_the_first_span_are_not_warned_of(sandbox, arrivals):
    sandbox.write("app.py", PROGRAM)
    done = sandbox.run("-W", "always", "app.py", **arrivals.environ)
    assert (done.code, done.out, done.err, done.said) == (0, "done\n", "", [])
    names = Counter((span.resource["process.pid"], span.name) for span in arrivals.spans)
    assert set(names.values()) == {1, 2}
    assert Counter(span.name for span in arrivals.spans) == {"CREATE TABLE early": 1, "CREATE TABLE mine": 4}
