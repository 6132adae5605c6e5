// Dragging over a time line to choose a part of it. The start and end are fractions of its width.

import { useRef, useState } from "preact/hooks";

export interface Stretch {
  from: number;
  to: number;
}

export function useStretch(done: (stretch: Stretch) => void, clicked?: (at: number) => void) {
  const [stretch, setStretch] = useState<Stretch | undefined>();
  const begin = useRef<number | undefined>(undefined);
  const fraction = (event: PointerEvent): number => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  };
  const moved = (event: PointerEvent, from: number): boolean =>
    Math.abs(fraction(event) - from) * (event.currentTarget as Element).clientWidth > 4;
  return {
    stretch,
    handlers: {
      onPointerDown: (event: PointerEvent) => {
        if (event.button !== 0) return;
        (event.currentTarget as Element).setPointerCapture(event.pointerId);
        begin.current = fraction(event);
      },
      onPointerMove: (event: PointerEvent) => {
        const from = begin.current;
        if (from === undefined || !moved(event, from)) return;
        const to = fraction(event);
        setStretch({ from: Math.min(from, to), to: Math.max(from, to) });
      },
      onPointerUp: (event: PointerEvent) => {
        const from = begin.current;
        begin.current = undefined;
        setStretch(undefined);
        if (from === undefined) return;
        const to = fraction(event);
        if (moved(event, from)) done({ from: Math.min(from, to), to: Math.max(from, to) });
        else clicked?.(to);
      },
      onPointerCancel: () => {
        begin.current = undefined;
        setStretch(undefined);
      },
    },
  };
}
