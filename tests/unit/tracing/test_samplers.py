"""Which traces are kept, against the SDK's samplers and the specification's table."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import sampling as sdk
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, TraceFlags, TraceState

from autotrace.sampling.build import build
from autotrace.sampling.plugin import PluginSampler
from autotrace.sampling.standard import AlwaysOff, AlwaysOn, ParentBased, TraceIdRatio
from autotrace.tracing.context import SPAN_KEY
from autotrace.tracing.provider import TracerProvider
from autotrace.tracing.remote import DECISION_KEY, RemoteSpan
from autotrace.tracing.resource import Resource
from autotrace.tracing.span import Span

TRACE_ID = 0xFF00AA11BB22CC330123456789ABCDEF
RATIOS = [0.0, 1e-9, 0.001, 0.1, 0.25, 1 / 3, 0.5, 0.999, 1.0]


def no_plugin(_name):
    return None


def keeps(sampler, trace_id):
    return sampler.decide(None, trace_id, "a", SpanKind.SERVER, {}, (), Context()).sampled


# By trace id.


@given(st.integers(min_value=1, max_value=2**128 - 1), st.one_of(st.sampled_from(RATIOS), st.floats(0, 1)))
def test_ratio_keeps_the_traces_that_the_sdk_keeps(trace_id, ratio):
    theirs = sdk.TraceIdRatioBased(ratio).should_sample(None, trace_id, "a").decision.is_sampled()
    assert keeps(TraceIdRatio(ratio), trace_id) == theirs


@pytest.mark.parametrize(
    ("ratio", "bound"), [(0.001, 0x4189374BC6A7F0), (0.1, 0x1999999999999A00), (0.25, 2**62)]
)
def test_ratio_keeps_below_its_bound(ratio, bound):
    assert keeps(TraceIdRatio(ratio), (7 << 64) + bound - 1)
    assert not keeps(TraceIdRatio(ratio), (7 << 64) + bound)


def test_ratio_of_the_worked_example():
    """0123456789abcdef lies at 0.00444 of the range."""
    assert keeps(TraceIdRatio(0.01), TRACE_ID)
    assert not keeps(TraceIdRatio(0.004), TRACE_ID)


@given(st.integers(min_value=1, max_value=2**128 - 1))
def test_a_higher_ratio_keeps_all_that_a_lower_one_does(trace_id):
    kept = [keeps(TraceIdRatio(ratio), trace_id) for ratio in RATIOS]
    assert kept == sorted(kept)
    assert kept[0] is False
    assert kept[-1] is True


# By name and argument.


@pytest.mark.parametrize(
    ("name", "argument", "theirs"),
    [
        ("always_on", "", sdk.ALWAYS_ON),
        ("always_off", "", sdk.ALWAYS_OFF),
        ("traceidratio", "0.25", sdk.TraceIdRatioBased(0.25)),
        ("traceidratio", "", sdk.TraceIdRatioBased(1.0)),
        ("traceidratio", "1", sdk.TraceIdRatioBased(1.0)),
        ("parentbased_always_on", "", sdk.ParentBased(sdk.ALWAYS_ON)),
        ("parentbased_always_off", "", sdk.ParentBased(sdk.ALWAYS_OFF)),
        ("parentbased_traceidratio", "0.5", sdk.ParentBased(sdk.TraceIdRatioBased(0.5))),
    ],
)
def test_names_and_descriptions(name, argument, theirs, capsys):
    assert build(name, argument, no_plugin).description == theirs.get_description()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("argument", ["-0.1", "1.1", "nan", "inf", "a tenth", "0,1", "0.1%"])
@pytest.mark.parametrize("name", ["traceidratio", "parentbased_traceidratio"])
def test_a_bad_ratio_is_one_warning_and_keeps_everything(name, argument, capsys):
    sampler = build(name, argument, no_plugin)
    assert keeps(sampler, 2**128 - 1)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"autotrace: OTEL_TRACES_SAMPLER_ARG={argument!r}")


@pytest.mark.parametrize("name", ["sometimes", "parentbased_sometimes", ""])
def test_an_unknown_sampler_is_one_warning_and_the_default(name, capsys):
    assert build(name, "", no_plugin).description == ParentBased(AlwaysOn()).description
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"autotrace: OTEL_TRACES_SAMPLER={name!r} is not known")


def test_a_plugin_by_name(capsys):
    asked = []

    def factory(argument):
        asked.append(argument)
        return sdk.TraceIdRatioBased(float(argument))

    sampler = build("theirs", "0.25", {"theirs": factory}.get)
    assert sampler.description == "TraceIdRatioBased{0.25}"
    assert asked == ["0.25"]
    assert capsys.readouterr().err == ""


def test_a_plugin_that_cannot_be_made_is_one_warning_and_the_default(capsys):
    sampler = build("theirs", "a quarter", {"theirs": float}.get)
    assert sampler.description == ParentBased(AlwaysOn()).description
    (line,) = capsys.readouterr().err.splitlines()
    assert "'theirs' could not be made (ValueError" in line


# By parent, through the tracer.


def spans_of(sampler):
    finished = []
    tracer = TracerProvider(Resource({"service.name": "svc"}), sampler, finished.append).get_tracer("lib")
    return tracer, finished


def parent(trace_id=TRACE_ID, span_id=5, sampled=True, remote=True):
    return NonRecordingSpan(
        SpanContext(trace_id, span_id, remote, TraceFlags(int(sampled)), TraceState([("a", "1")]))
    )


PARENTS = {
    "none": None,
    "remote sampled": parent(),
    "remote not sampled": parent(sampled=False),
    "local sampled": parent(remote=False),
    "local not sampled": parent(sampled=False, remote=False),
    "invalid trace id": parent(trace_id=0),
    "invalid span id": parent(span_id=0),
}
SAMPLERS = {
    "always_on": (AlwaysOn(), sdk.ALWAYS_ON),
    "always_off": (AlwaysOff(), sdk.ALWAYS_OFF),
    "ratio 0": (TraceIdRatio(0.0), sdk.TraceIdRatioBased(0.0)),
    "ratio 1": (TraceIdRatio(1.0), sdk.TraceIdRatioBased(1.0)),
    "parent, else on": (ParentBased(AlwaysOn()), sdk.ParentBased(sdk.ALWAYS_ON)),
    "parent, else off": (ParentBased(AlwaysOff()), sdk.ParentBased(sdk.ALWAYS_OFF)),
    "parent, else ratio 1": (ParentBased(TraceIdRatio(1.0)), sdk.ParentBased(sdk.TraceIdRatioBased(1.0))),
    "plugin": (PluginSampler(sdk.ParentBased(sdk.ALWAYS_OFF)), sdk.ParentBased(sdk.ALWAYS_OFF)),
    "parent, else plugin": (
        ParentBased(PluginSampler(sdk.ALWAYS_OFF)),
        sdk.ParentBased(sdk.ALWAYS_OFF),
    ),
}


@pytest.mark.parametrize(
    ("sampler", "found"),
    list(itertools.product(SAMPLERS, PARENTS)),
    ids=lambda given: given.replace(" ", "-"),
)
def test_the_matrix_of_parents(sampler, found):
    ours, theirs = SAMPLERS[sampler]
    context = Context() if PARENTS[found] is None else trace.set_span_in_context(PARENTS[found], Context())
    decided = theirs.should_sample(context, TRACE_ID, "a", SpanKind.SERVER, None, ())
    tracer, finished = spans_of(ours)
    span = tracer.start_span("a", context)
    assert span.is_recording() == decided.decision.is_recording()
    made = span.get_span_context()
    assert made.trace_flags.sampled == decided.decision.is_sampled()
    assert made.span_id not in {0, 5}, "an unsampled span has an id of its own, too"
    assert made.trace_id
    assert (made.trace_id == TRACE_ID) == found.startswith(("remote", "local"))
    if made.trace_id == TRACE_ID:
        assert made.trace_state == decided.trace_state
    span.end()
    assert len(finished) == decided.decision.is_sampled()


@pytest.mark.parametrize("root", [AlwaysOn(), AlwaysOff()])
def test_a_deferred_decision_is_the_roots(root):
    tracer, _ = spans_of(ParentBased(root))
    deferred = RemoteSpan(TRACE_ID, 5, 1, None, deferred=True)
    span = tracer.start_span("a", Context({SPAN_KEY: deferred}))
    assert span.is_recording() == isinstance(root, AlwaysOn)
    assert span.get_span_context().trace_id == TRACE_ID


@pytest.mark.parametrize("decision", [True, False])
def test_a_decision_without_a_span_is_followed(decision):
    """`b3: 0` names no parent, and still wants the trace to be left out."""
    tracer, _ = spans_of(ParentBased(AlwaysOff() if decision else AlwaysOn()))
    assert tracer.start_span("a", Context({DECISION_KEY: decision})).is_recording() == decision


def test_children_of_ours_follow_without_asking():
    asked = []

    class Asked(AlwaysOn):
        constant = None

        def decide(self, *span):
            asked.append(span)
            return super().decide(*span)

    tracer, _ = spans_of(ParentBased(Asked()))
    root = tracer.start_span("root")
    tracer.start_span("child", trace.set_span_in_context(root))
    assert len(asked) == 1


# Samplers written for the SDK.


class Recorder(sdk.Sampler):
    """Remembers what it was asked, and answers as it is told."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    def should_sample(
        self, parent_context, trace_id, name, kind=None, attributes=None, links=None, trace_state=None
    ):
        self.asked.append((parent_context, trace_id, name, kind, dict(attributes), tuple(links)))
        return self.answer(attributes)

    def get_description(self):
        return "Recorder"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (AlwaysOn(), sdk.ALWAYS_ON),
        (AlwaysOff(), sdk.ALWAYS_OFF),
        (TraceIdRatio(0.5), sdk.TraceIdRatioBased(0.5)),
        (ParentBased(AlwaysOn()), sdk.ParentBased(sdk.ALWAYS_ON)),
        (ParentBased(TraceIdRatio(0.5)), sdk.ParentBased(sdk.TraceIdRatioBased(0.5))),
    ],
)
@pytest.mark.parametrize("sampled", [None, True, False])
@pytest.mark.parametrize("trace_id", [1, 2**64 - 1])
def test_an_application_that_asks_a_sampler_itself(ours, theirs, sampled, trace_id):
    """As Airflow asks the provider's, to decide on a run before it has a span."""
    context = None
    if sampled is not None:
        context = trace.set_span_in_context(parent(sampled=sampled), Context())
    for attributes in (None, {"x": 1}):
        mine, wanted = (
            each.should_sample(parent_context=context, trace_id=trace_id, name="run", attributes=attributes)
            for each in (ours, theirs)
        )
        assert mine.decision is wanted.decision
        assert (mine.attributes, mine.trace_state) == (wanted.attributes, wanted.trace_state)
    assert ours.get_description() == theirs.get_description()


def test_a_plugin_sees_what_the_sdk_would_show_it():
    plugin = Recorder(lambda given: sdk.SamplingResult(sdk.Decision.RECORD_AND_SAMPLE, given))
    tracer, finished = spans_of(PluginSampler(plugin))
    context = trace.set_span_in_context(parent(), Context())
    link = Link(parent(span_id=9).get_span_context(), {"l": 1})
    tracer.start_span("a", context, SpanKind.CLIENT, {"x": 1}, [link]).end()
    assert plugin.asked == [(context, TRACE_ID, "a", SpanKind.CLIENT, {"x": 1}, (link,))]
    assert finished[0].attributes == {"x": 1}


def test_a_plugin_adds_attributes_and_tracestate():
    state = TraceState([("ot", "th:c")])
    plugin = Recorder(
        lambda given: sdk.SamplingResult(
            sdk.Decision.RECORD_AND_SAMPLE, {**given, "x": 2, "rule": "7"}, state
        )
    )
    tracer, _ = spans_of(PluginSampler(plugin))
    span = tracer.start_span("a", attributes={"x": 1, "y": 1})
    assert span.attributes == {"x": 2, "y": 1, "rule": "7"}
    assert span.get_span_context().trace_state == state


@pytest.mark.parametrize("state", [None, TraceState()])
def test_a_plugin_without_tracestate_erases_it(state):
    plugin = Recorder(lambda given: sdk.SamplingResult(sdk.Decision.RECORD_AND_SAMPLE, given, state))
    tracer, _ = spans_of(PluginSampler(plugin))
    span = tracer.start_span("a", trace.set_span_in_context(parent(), Context()))
    assert len(span.get_span_context().trace_state) == 0


def test_a_span_that_is_recorded_but_not_sampled_goes_nowhere():
    plugin = Recorder(lambda given: sdk.SamplingResult(sdk.Decision.RECORD_ONLY, given))
    tracer, finished = spans_of(PluginSampler(plugin))
    span = tracer.start_span("a", attributes={"x": 1})
    assert type(span) is Span
    assert span.attributes == {"x": 1}
    assert not span.get_span_context().trace_flags.sampled
    span.end()
    assert finished == []


@pytest.mark.parametrize("sampled", [True, False])
def test_a_failing_plugin_does_as_the_parent_did(sampled, capsys):
    def fail(_given):
        raise RuntimeError("plugin is broken")

    tracer, _ = spans_of(PluginSampler(Recorder(fail)))
    span = tracer.start_span("a", trace.set_span_in_context(parent(sampled=sampled), Context()))
    assert span.is_recording() == sampled
    assert tracer.start_span("a").is_recording()
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "autotrace: sampler Recorder failed: RuntimeError('plugin is broken')"
