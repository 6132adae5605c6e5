"""Client spans for botocore and aiobotocore: one per API call, named as `S3.GetObject`.

Patched: `BaseClient._make_api_call`, around all attempts of a call; the HTTP client below makes no spans of
its own meanwhile. `Endpoint.prepare_request` makes each attempt's request when it is signed already: trace
headers that are added there, to headers nobody else has, are outside the signature.

Spec: https://opentelemetry.io/docs/specs/semconv/cloud-providers/aws-sdk/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from autotrace.instrumentation.http import server_of
from autotrace.instrumentation.semconv import (
    ERROR_TYPE,
    HTTP_REQUEST_RESEND_COUNT,
    HTTP_RESPONSE_STATUS_CODE,
    SERVER_ADDRESS,
    SERVER_PORT,
)
from autotrace.tracing.context import (
    SPAN_KEY,
    SUPPRESS_HTTP_KEY,
    Context,
    attach,
    current,
    detach,
    suppressed,
)
from autotrace.tracing.span import Span

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import ModuleType
    from typing import Final

    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher

_CALL_KEY: Final = "autotrace-aws-call"
"""In the context of a call that has a span."""


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `botocore.client`."""
    patcher.wrap(module, "BaseClient._make_api_call", _Calls(patcher).observe)


def install_aio(module: ModuleType, patcher: Patcher) -> None:
    """Patch `aiobotocore.client`."""
    patcher.wrap(module, "AioBaseClient._make_api_call", _Calls(patcher).observe)


def install_endpoint(module: ModuleType, patcher: Patcher) -> None:
    """Patch `botocore.endpoint`."""
    receivers = patcher.settings.propagate_to

    def observe_prepare(_call: Call) -> Generator[None, Outcome, None]:
        outcome = yield
        context = current()
        if outcome.error is not None or _CALL_KEY not in context:
            return
        request: Any = outcome.result
        if receivers is None or receivers.fullmatch(server_of(request.url)[0]):
            patcher.propagator.inject(request.headers, context)

    patcher.wrap(module, "Endpoint.prepare_request", observe_prepare)


class _Calls:
    """Observes the API calls of either library."""

    def __init__(self, patcher: Patcher) -> None:
        self._start = patcher.tracer.start
        self._excluded = patcher.settings.excluded_urls("botocore")

    def observe(self, call: Call) -> Generator[None, Outcome, None]:
        """Around `_make_api_call`, which may be a coroutine."""
        above = current()
        if suppressed(above):
            return
        client, operation = call.args[0], str(call.get(1, "operation_name"))
        below: dict[str, Any] = {**above, SUPPRESS_HTTP_KEY: True}
        if self._excluded is not None and self._excluded.search(client.meta.endpoint_url):
            below.pop(_CALL_KEY, None)
            token = attach(Context(below))
            yield
            detach(token)
            return
        service = client.meta.service_model.service_id
        span = self._start(
            f"{service}.{operation}", SpanKind.CLIENT, {}, above, _describe, (client, service, operation)
        )
        token = attach(Context({**below, SPAN_KEY: span, _CALL_KEY: True}))
        outcome = yield
        detach(token)
        if type(span) is Span:
            _finish(span, outcome)


def _describe(called: tuple[Any, str, str]) -> dict[str, Any]:
    client, service, operation = called
    host, port = server_of(client.meta.endpoint_url)
    attributes = {
        "rpc.system": "aws-api",
        "rpc.service": service,
        "rpc.method": operation,
        "cloud.region": client.meta.region_name,
        SERVER_ADDRESS: host,
        SERVER_PORT: port,
    }
    return {name: value for name, value in attributes.items() if value is not None}


def _finish(span: Span, outcome: Outcome) -> None:
    error, answer = outcome.error, outcome.result
    if error is not None:
        answer = getattr(error, "response", None)  # of a ClientError: the service has answered
        code = answer.get("Error", {}).get("Code") if isinstance(answer, dict) else None
        if isinstance(error, Exception):
            span.fail(error)
            if code:
                span.set_attribute(ERROR_TYPE, code)
    metadata = answer.get("ResponseMetadata") if isinstance(answer, dict) else None
    if metadata:
        _add(span, "aws.request_id", metadata.get("RequestId"))
        _add(span, "aws.extended_request_id", metadata.get("HostId"))
        _add(span, HTTP_RESPONSE_STATUS_CODE, metadata.get("HTTPStatusCode"))
        _add(span, HTTP_REQUEST_RESEND_COUNT, metadata.get("RetryAttempts"))
    span.end()


def _add(span: Span, name: str, value: Any) -> None:
    if value:
        span.set_attribute(name, value)
