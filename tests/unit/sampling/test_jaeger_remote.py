"""What a backend's answers make of traces."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind

from autotrace.sampling import token_bucket
from autotrace.sampling.jaeger_remote import JaegerArguments, JaegerRemote, arguments
from autotrace.sampling.strategies import MOST_NAMES

LOW, HIGH = 1, 2**64 - 1


class Asked:
    def __init__(self):
        self.times = 0

    def __call__(self, _sampler):
        self.times += 1


def remote(initial=0.0, interval=1e6):
    return JaegerRemote(initial, interval, Asked())


def decide(sampler, name="GET", trace_id=LOW, path=None, method="GET"):
    attributes = {} if path is None else {"url.path": path, "http.request.method": method}
    return sampler.decide(None, trace_id, name, SpanKind.SERVER, attributes, (), Context())


def told(sampler, answer):
    sampler.learn(json.dumps(answer).encode())
    return sampler


def probabilistic(rate):
    return {"strategyType": "PROBABILISTIC", "probabilisticSampling": {"samplingRate": rate}}


def operations(*listed, default=0.0, least=0.0):
    return {
        "strategyType": "PROBABILISTIC",
        "probabilisticSampling": {"samplingRate": default},
        "rateLimitingSampling": None,
        "operationSampling": {
            "defaultSamplingProbability": default,
            "defaultLowerBoundTracesPerSecond": least,
            "defaultUpperBoundTracesPerSecond": 0,
            "perOperationStrategies": [
                {"operation": name, "probabilisticSampling": {"samplingRate": rate}} for name, rate in listed
            ],
        },
    }


@pytest.fixture
def now(monkeypatch):
    """Time stands still."""
    monkeypatch.setattr(token_bucket, "monotonic", lambda: 1000.0)
    monkeypatch.setattr(token_bucket, "_share", lambda: 1.0)


def test_until_the_first_answer_the_initial_rate_counts():
    sampler = remote(initial=0.25)
    assert decide(sampler, trace_id=2**62 - 1).sampled
    assert not decide(sampler, trace_id=2**62).sampled


def test_asks_with_the_first_entry_and_then_after_the_interval():
    sampler = remote(interval=0.0)
    ask = sampler._ask
    assert ask.times == 0
    decide(sampler)
    decide(sampler)
    assert ask.times == 2
    patient = remote()
    decide(patient)
    decide(patient)
    assert patient._ask.times == 1


@pytest.mark.parametrize("kind", ["PROBABILISTIC", 0, None])
def test_probabilistic(kind):
    answer = probabilistic(0.5)
    if kind is None:
        del answer["strategyType"]
    else:
        answer["strategyType"] = kind
    sampler = told(remote(), answer)
    kept = decide(sampler, trace_id=2**63 - 1)
    assert kept.attributes == {"sampler.type": "probabilistic", "sampler.param": 0.5}
    assert not decide(sampler, trace_id=2**63).sampled


@pytest.mark.parametrize("kind", ["RATE_LIMITING", 1])
def test_rate_limiting_goes_on_with_what_was_left(kind, now):
    limit = {"strategyType": kind, "rateLimitingSampling": {"maxTracesPerSecond": 4}}
    sampler = told(remote(), limit)
    kept = [decide(sampler) for _ in range(10)]
    assert [each.sampled for each in kept] == [True] * 4 + [False] * 6
    assert kept[0].attributes == {"sampler.type": "ratelimiting", "sampler.param": 4.0}
    told(sampler, {**limit, "rateLimitingSampling": {"maxTracesPerSecond": 8}})
    assert not decide(sampler).sampled


def test_operations_by_name_and_by_default():
    sampler = told(remote(), operations(("charge", 1.0), ("poll", 0.0), default=0.5))
    assert decide(sampler, "charge", HIGH).sampled
    assert not decide(sampler, "poll", LOW).sampled
    assert decide(sampler, "other", LOW).sampled
    assert not decide(sampler, "other", HIGH).sampled


def test_operations_of_requests_by_method_and_route():
    sampler = told(remote(), operations(("GET /users/{id}", 0.0), ("/health", 0.0), default=1.0))
    assert sampler.reads_request
    assert not decide(sampler, path="/users/42").sampled
    assert decide(sampler, path="/users/42", method="POST").sampled
    assert not decide(sampler, path="/health", method="POST").sampled
    assert decide(sampler, path="/").sampled


def test_a_lower_bound_keeps_a_few_of_each(now):
    sampler = told(remote(), operations(("charge", 0.0), least=2.0))
    for name in ("charge", "unseen", "another"):
        kept = [decide(sampler, name, HIGH) for _ in range(5)]
        assert [each.sampled for each in kept] == [True, True, False, False, False]
        assert kept[0].attributes == {"sampler.type": "lowerbound", "sampler.param": 2.0}


def test_a_trace_of_the_share_counts_for_the_lower_bound(now):
    sampler = told(remote(), operations(("charge", 0.5), least=2.0))
    assert decide(sampler, "charge", LOW).attributes["sampler.type"] == "probabilistic"
    assert decide(sampler, "charge", HIGH).attributes["sampler.type"] == "lowerbound"
    assert not decide(sampler, "charge", HIGH).sampled


def test_a_new_answer_keeps_the_balances(now):
    sampler = told(remote(), operations(("charge", 0.0), least=1.0))
    assert decide(sampler, "charge", HIGH).sampled
    told(sampler, operations(("charge", 0.0), ("new", 0.0), least=1.0))
    assert not decide(sampler, "charge", HIGH).sampled
    assert decide(sampler, "new", HIGH).sampled


def test_names_without_bound_share_the_default(now):
    sampler = told(remote(), operations(least=1.0))
    kept = sum(decide(sampler, f"name {number}", HIGH).sampled for number in range(MOST_NAMES + 100))
    assert kept == MOST_NAMES


BAD = [
    b"",
    b"not json",
    b"[]",
    b"null",
    b'"text"',
    b"{}",
    b'{"strategyType":"SOMETIMES"}',
    b'{"strategyType":"PROBABILISTIC"}',
    b'{"strategyType":"PROBABILISTIC","probabilisticSampling":null}',
    b'{"probabilisticSampling":{"samplingRate":"half"}}',
    b'{"probabilisticSampling":{"samplingRate":NaN}}',
    b'{"probabilisticSampling":7}',
    b'{"strategyType":1,"rateLimitingSampling":{"maxTracesPerSecond":true}}',
    b'{"operationSampling":[]}',
    b'{"operationSampling":{"perOperationStrategies":[7]}}',
    b'{"operationSampling":{"perOperationStrategies":[{"operation":7}]}}',
    b'{"operationSampling":{"perOperationStrategies":[{"operation":"a"}]}}',
    b"\xff\xfe",
]


@pytest.mark.parametrize("answer", BAD)
def test_a_bad_answer_changes_nothing(answer):
    sampler = told(remote(), probabilistic(1.0))
    with pytest.raises(ValueError, match="the answer"):
        sampler.learn(answer)
    assert decide(sampler, trace_id=HIGH).sampled


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
LIKE_STRATEGIES = st.dictionaries(
    st.sampled_from(["strategyType", "probabilisticSampling", "rateLimitingSampling", "operationSampling"]),
    st.dictionaries(
        st.sampled_from(
            ["samplingRate", "maxTracesPerSecond", "perOperationStrategies", "defaultSamplingProbability"]
        ),
        JSON,
    )
    | JSON,
)


@given(JSON | LIKE_STRATEGIES)
def test_any_answer_is_read_or_refused(answer):
    sampler = remote()
    try:
        sampler.learn(json.dumps(answer).encode())
    except ValueError:
        pass
    decide(sampler, path="/a")


def test_figures_out_of_range_are_brought_into_it():
    assert decide(told(remote(), probabilistic(7)), trace_id=HIGH).sampled
    assert not decide(told(remote(), probabilistic(-1)), trace_id=LOW).sampled


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("", JaegerArguments()),
        (
            "endpoint=http://jaeger:5778/sampling,pollingIntervalMs=5000,initialSamplingRate=0.25",
            JaegerArguments("http://jaeger:5778/sampling", 5.0, 0.25),
        ),
        ("endpoint=http://jaeger:5778", JaegerArguments("http://jaeger:5778/sampling")),
        ("endpoint=jaeger:5778", JaegerArguments("http://jaeger:5778/sampling")),
        ("endpoint=http://jaeger:14268", JaegerArguments("http://jaeger:14268/api/sampling")),
        ("endpoint=https://jaeger/strategies?team=a", JaegerArguments("https://jaeger/strategies?team=a")),
    ],
)
def test_arguments(text, chosen, capsys):
    assert arguments(text) == chosen
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("text", "complaint", "chosen"),
    [
        ("pollingIntervalMs=soon", "it is no number from 1 to", JaegerArguments()),
        ("pollingIntervalMs=0", "it is no number from 1 to", JaegerArguments()),
        ("initialSamplingRate=2", "it is no number from 0 to 1", JaegerArguments()),
        ("endpoint=ftp://jaeger", "it is no http or https URL", JaegerArguments()),
        ("rate=1", "it is none of endpoint, pollingIntervalMs, initialSamplingRate", JaegerArguments()),
        (
            "endpoint=http://jaeger:14250",
            "port 14250 of jaeger speaks gRPC; strategies are asked for over HTTP, at port 5778",
            JaegerArguments("http://jaeger:5778/sampling"),
        ),
    ],
)
def test_bad_arguments_are_named(text, complaint, chosen, capsys):
    assert arguments(text) == chosen
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("autotrace: OTEL_TRACES_SAMPLER_ARG: ")
    assert complaint in line
