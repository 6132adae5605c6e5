"""Several formats as one propagator.

Spec: https://opentelemetry.io/docs/specs/otel/context/api-propagators/#composite-propagator
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.propagators.textmap import TextMapPropagator, default_getter, default_setter

from autotrace import notices
from autotrace.tracing.context import current

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.propagators.textmap import CarrierT, Getter, Setter


class Composite(TextMapPropagator):
    """Runs its members in order; on extraction a later one overwrites what an earlier one found.

    Neither method raises, whatever a member or a getter does: the context stays as it was, or the
    carrier goes without that format.
    """

    def __init__(self, propagators: Iterable[TextMapPropagator]) -> None:
        self.propagators = tuple(propagators)
        self._listeners: list[Callable[[], None]] = []

    def add_first(self, propagator: TextMapPropagator) -> None:
        """Speak one format more, which what the others find overwrites."""
        if any(type(present) is type(propagator) for present in self.propagators):
            return
        self.propagators = (propagator, *self.propagators)
        for listener in self._listeners:
            listener()

    def follow(self, listener: Callable[[], None]) -> None:
        """Call `listener` now, and when `reads` and `fields` change; for those who keep them."""
        self._listeners.append(listener)
        listener()

    def extract(
        self, carrier: CarrierT, context: Context | None = None, getter: Getter[CarrierT] = default_getter
    ) -> Context:
        """What the headers say, added to `context`; an empty one when none is given."""
        if context is None:
            context = Context()
        for propagator in self.propagators:
            try:
                context = propagator.extract(carrier, context, getter)
            except Exception as error:
                _report("extract", propagator, error)
        return context

    def inject(
        self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = default_setter
    ) -> None:
        """Write `context`, the current one when none is given, in every format."""
        if context is None:
            context = current()
        for propagator in self.propagators:
            try:
                propagator.inject(carrier, context, setter)
            except Exception as error:
                _report("inject", propagator, error)

    @property
    def reads(self) -> tuple[str, ...] | None:
        """The headers, in lower case, without any of which `extract` finds nothing.

        None where that cannot be said: a member looks for names that begin in a certain way, or is
        not ours.
        """
        names: list[str] = []
        for propagator in self.propagators:
            reads = getattr(propagator, "reads", None)
            if reads is None:
                return None
            names += reads
        return tuple(names)

    @property
    def fields(self) -> set[str]:
        """All headers that `inject` may set, but for baggage in headers of its own."""
        return {field for propagator in self.propagators for field in propagator.fields}


def _report(step: str, propagator: TextMapPropagator, error: Exception) -> None:
    name = type(propagator).__name__
    notices.warn(
        f"propagator {name}.{step} failed, the trace may be cut here: {error!r:.200}", f"propagator {name}"
    )
