"""What Jaeger's query service does to a trace before it shows it, unless asked for it raw.

Works on the trace as `jaeger_json.trace` makes it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Final

_PARENT: Final = "CHILD_OF"
_ADDRESSES: Final = frozenset({"ip", "peer.ipv4"})
"""Tags whose old clients sent an IPv4 address as a number."""
_OF_PROCESS: Final = "telemetry.sdk."
_MAX_IPV4: Final = 2**32
_NO_ID: Final = frozenset("0")


def adjusted(trace: dict[str, Any]) -> dict[str, Any]:
    """`trace` with duplicates and empty links removed, shared ids split, tags and logs in order.

    It is changed in place. A span without its parent gets a warning.
    """
    spans = trace["spans"] = _distinct(trace["spans"])
    for span in spans:
        span["references"] = [reference for reference in span["references"] if _complete(reference)]
    _split_shared_ids(spans)
    _move_to_process(spans, trace["processes"])
    for process in trace["processes"].values():
        _arrange(process["tags"])
    here = {span["spanID"] for span in spans}
    for span in spans:
        _arrange(span["tags"])
        span["logs"].sort(key=_time)
        for log in span["logs"]:
            log["fields"].sort(key=_event_first)
        parent = _parent(span)
        if parent and parent not in here:
            span["warnings"] = [f"invalid parent span IDs={parent}; skipping clock skew adjustment"]
    return trace


def _distinct(spans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({json.dumps(span, sort_keys=True): span for span in spans}.values())


def _complete(reference: dict[str, str]) -> bool:
    return not (_NO_ID.issuperset(reference["traceID"]) or _NO_ID.issuperset(reference["spanID"]))


def _split_shared_ids(spans: list[dict[str, Any]]) -> None:
    """Give the server half of a joined span (Zipkin) an id of its own, above all but the client half."""
    clients = {span["spanID"] for span in spans if _kind(span) == "client"}
    taken = {span["spanID"] for span in spans}
    new_ids: dict[str, str] = {}
    last = 0
    for span in spans:
        shared = span["spanID"]
        if _kind(span) != "server" or shared not in clients:
            continue
        if shared not in new_ids:
            last += 1
            while f"{last:016x}" in taken:
                last += 1
            new_ids[shared] = f"{last:016x}"
        span["spanID"] = new_ids[shared]
        _set_parent(span, shared)
    moved = set(new_ids.values())
    for span in spans:
        parent = _parent(span)
        if parent in new_ids and span["spanID"] not in moved:
            _set_parent(span, new_ids[parent])


def _kind(span: dict[str, Any]) -> Any:
    return next((tag["value"] for tag in span["tags"] if tag["key"] == "span.kind"), "")


def _parent(span: dict[str, Any]) -> str:
    for reference in span["references"]:
        if reference["refType"] == _PARENT and reference["traceID"] == span["traceID"]:
            parent: str = reference["spanID"]
            return parent
    return ""


def _set_parent(span: dict[str, Any], parent: str) -> None:
    reference = {"refType": _PARENT, "traceID": span["traceID"], "spanID": parent}
    old = _parent(span)
    others = [each for each in span["references"] if each["refType"] != _PARENT or each["spanID"] != old]
    span["references"] = [reference, *others]


def _move_to_process(spans: list[dict[str, Any]], processes: dict[str, Any]) -> None:
    for span in spans:
        moving = [tag for tag in span["tags"] if tag["key"].startswith(_OF_PROCESS)]
        if moving:
            span["tags"] = [tag for tag in span["tags"] if not tag["key"].startswith(_OF_PROCESS)]
            process = processes[span["processID"]]["tags"]
            known = {tag["key"] for tag in process}
            process.extend(tag for tag in moving if tag["key"] not in known)


def _arrange(tags: list[dict[str, Any]]) -> None:
    for tag in tags:
        if tag["key"] in _ADDRESSES and tag["type"] == "int64":
            number = int(tag["value"]) % _MAX_IPV4
            tag["type"], tag["value"] = "string", ".".join(map(str, number.to_bytes(4, "big")))
    tags.sort(key=_key)


def _key(tag: dict[str, Any]) -> str:
    key: str = tag["key"]
    return key


def _event_first(field: dict[str, Any]) -> tuple[bool, str]:
    return field["key"] != "event", field["key"]


def _time(log: dict[str, Any]) -> int:
    timestamp: int = log["timestamp"]
    return timestamp
