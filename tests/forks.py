"""What a forked child sees, told to the test."""

from __future__ import annotations

import json
import os
import traceback
import warnings
from typing import Any, Callable


def in_child(function: Callable[[], Any]) -> Any:
    """Call `function` in a forked child and return what it returns, by way of JSON.

    Raises:
        AssertionError: The child failed; its traceback is the message.
    """
    readable, writable = os.pipe()
    with warnings.catch_warnings():  # from 3.12 on: there are threads, and that is the point
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        try:
            answer = {"result": function()}
        except BaseException:
            answer = {"error": traceback.format_exc()}
        with open(writable, "w") as pipe:
            json.dump(answer, pipe)
        os._exit(0)
    os.close(writable)
    with open(readable) as pipe:
        answer = json.load(pipe)
    assert os.waitpid(pid, 0)[1] == 0
    assert "error" not in answer, answer["error"]
    return answer["result"]
