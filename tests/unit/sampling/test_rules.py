"""Which rule decides, and what a bad one does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind

from autotrace import notices
from autotrace.sampling.build import build
from autotrace.tracing.context import SPAN_KEY
from autotrace.tracing.provider import TracerProvider
from autotrace.tracing.remote import RemoteSpan
from autotrace.tracing.resource import Resource

RESOURCE = Resource({"service.name": "shop", "deployment.environment.name": "prod"})
LOW, HIGH = 1, 2**64 - 1
"""Trace ids that each ratio above 0, and none below 1, keeps."""


def rules(text):
    return build("rules", text, lambda _name: None, RESOURCE.attributes)


def keeps(
    sampler, name="GET", kind=SpanKind.SERVER, trace_id=LOW, parent=None, method="GET", path="", **attributes
):
    found = {key.replace("__", "."): value for key, value in attributes.items()}
    if path:
        found |= {"url.path": path, "http.request.method": method}
    return sampler.decide(parent, trace_id, name, kind, found, (), Context()).sampled


def test_the_example_of_the_guide(capsys):
    sampler = rules("drop=/health;drop=/metrics;ratio=0.05@GET /search;fallback=parentbased_traceidratio:0.1")
    assert not keeps(sampler, path="/health")
    assert not keeps(sampler, path="/metrics", method="POST")
    assert keeps(sampler, path="/search", trace_id=round(0.049 * 2**64))
    assert not keeps(sampler, path="/search", trace_id=round(0.051 * 2**64))
    assert keeps(sampler, path="/search", method="POST", trace_id=round(0.099 * 2**64))
    assert not keeps(sampler, path="/", trace_id=round(0.101 * 2**64))
    assert keeps(sampler, path="/", trace_id=HIGH, parent=True)
    assert not keeps(sampler, path="/", trace_id=LOW, parent=False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("condition", "entry"),
    [
        ("GET /a", {"path": "/a"}),
        ("POST", {"path": "/a", "method": "POST"}),
        ("/users/{id}", {"path": "/users/42"}),
        ("name=process*orders", {"name": "process orders", "kind": SpanKind.CONSUMER}),
        ("kind=consumer", {"kind": SpanKind.CONSUMER}),
        ("kind=server /a", {"path": "/a"}),
        ("messaging.destination.name=orders", {"messaging__destination__name": "orders"}),
        ("messaging.batch.message_count=3", {"messaging__batch__message_count": 3}),
        ("flag=true", {"flag": True}),
        ("service.name=shop", {}),
        ("deployment.environment.name=pr*  GET", {"path": "/a"}),
    ],
)
def test_conditions(condition, entry, capsys):
    assert not keeps(rules(f"drop={condition}"), **entry)
    assert keeps(rules(f"keep={condition};fallback=always_off"), **entry)
    assert keeps(rules(f"drop={condition} nothing.has=this"), **entry)
    assert capsys.readouterr().err == ""


def test_a_rule_for_another_service_is_none():
    assert keeps(rules("drop=/a service.name=warehouse"), path="/a")


def test_the_first_rule_decides():
    sampler = rules("keep=/health/deep;drop=/health*;keep=*;fallback=always_off")
    assert keeps(sampler, path="/health/deep")
    assert not keeps(sampler, path="/health/shallow")
    assert keeps(sampler, path="/other")
    assert not keeps(sampler, kind=SpanKind.CLIENT)


def test_a_drop_holds_for_calls_from_elsewhere_and_nothing_else_does():
    sampler = rules("drop=/health;ratio=0@/search;keep=/cart")
    assert not keeps(sampler, path="/health", parent=True)
    assert keeps(sampler, path="/search", parent=True)
    assert not keeps(sampler, path="/search")
    assert not keeps(sampler, path="/cart", parent=False)


def test_a_rate_is_a_rule_of_its_own():
    sampler = rules("rate=0@/poll;fallback=always_on")
    assert not keeps(sampler, path="/poll")
    assert keeps(sampler, path="/other")


def test_without_rules_the_fallback_decides():
    assert keeps(rules(""), path="/")
    assert not keeps(rules("fallback=always_off"), path="/")


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        ("rato=0.1@/a", "'rato' is none of drop, keep, ratio, rate, fallback"),
        ("/health", "'/health' is none of"),
        ("drop=", "it has no condition"),
        ("drop=health", "'health' is no method, no path and no key=value"),
        ("ratio=0.1", "it must read ratio=NUMBER@CONDITION"),
        ("ratio=2@/a", "'2' is not a number from 0 to 1"),
        ("ratio=x@/a", "'x' is not a number from 0 to 1"),
        ("rate=-1@/a", "'-1' is not a number from 0 to"),
        ("drop=kind=sever", "'sever' is no kind of span"),
        ("fallback=sometimes", "there is no sampler 'sometimes'"),
    ],
)
def test_a_bad_rule_is_named_and_the_others_hold(rule, complaint, capsys):
    sampler = rules(f"drop=/health; {rule} ;drop=/metrics")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"autotrace: OTEL_TRACES_SAMPLER_ARG: the rule {rule!r} is left out: {complaint}")
    assert not keeps(sampler, path="/health")
    assert not keeps(sampler, path="/metrics")
    assert keeps(sampler, path="/a")


@given(st.text(), st.text(), st.text())
def test_no_text_raises(text, path, value):
    notices.set_level(notices.NONE)
    keeps(rules(text), path=path, key=value)
    keeps(rules(f"drop={text};ratio=0.5@{text}"), path=path, key=value)


def test_what_is_dropped_takes_its_children_with_it():
    finished = []
    sampler = rules("drop=/health;fallback=always_on")
    tracer = TracerProvider(RESOURCE, sampler, finished.append).get_tracer("lib")
    elsewhere = Context({SPAN_KEY: RemoteSpan(7, 5, 1, None)})
    entry = tracer.start(
        "GET", SpanKind.SERVER, {"url.path": "/health", "http.request.method": "GET"}, elsewhere
    )
    inside = Context({SPAN_KEY: entry})
    assert not entry.is_recording()
    assert tracer.start_leaf("SELECT", SpanKind.CLIENT, {}, inside) is None
    child = tracer.start("GET", SpanKind.CLIENT, {}, inside)
    assert not child.get_span_context().trace_flags.sampled
    assert child.get_span_context().trace_id == 7


def test_children_of_what_is_kept_are_kept():
    finished = []
    tracer = TracerProvider(RESOURCE, rules("keep=/a;fallback=always_off"), finished.append).get_tracer("lib")
    entry = tracer.start("GET", SpanKind.SERVER, {"url.path": "/a"}, Context())
    tracer.start("GET", SpanKind.CLIENT, {"url.path": "/b"}, Context({SPAN_KEY: entry})).end()
    entry.end()
    assert [span.name for span in finished] == ["GET", "GET"]
