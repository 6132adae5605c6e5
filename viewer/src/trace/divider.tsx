// The line between the names and the bars, which can be moved; where to is remembered.

import { signal } from "@preact/signals";

import { remember, remembered } from "../preference";

const KEY = "names";
const LEAST = 12;
const MOST = 75;
const STEP = 2;

const within = (percent: number): number => Math.min(MOST, Math.max(LEAST, percent));

const chosen = Number(remembered(KEY));
/** Percent of the width that the names take; undefined: as the style has it. */
export const names = signal<number | undefined>(chosen ? within(chosen) : undefined);

function move(percent: number | undefined): void {
  names.value = percent === undefined ? undefined : within(percent);
  remember(KEY, names.value === undefined ? "" : names.value.toFixed(1));
}

const board = (event: Event): DOMRect | undefined =>
  (event.currentTarget as Element).parentElement?.getBoundingClientRect();

function onPointerMove(event: PointerEvent): void {
  const box = board(event);
  if (box && (event.currentTarget as Element).hasPointerCapture(event.pointerId))
    move(((event.clientX - box.left) / box.width) * 100);
}

function onKeyDown(event: KeyboardEvent): void {
  const by = { ArrowLeft: -STEP, ArrowRight: STEP }[event.key];
  const box = board(event);
  if (!by || !box) return;
  event.preventDefault();
  const { left, width } = (event.currentTarget as Element).getBoundingClientRect();
  move(((left + width / 2 - box.left) / box.width) * 100 + by);
}

export function Divider() {
  return (
    <div
      class="divider"
      role="separator"
      aria-orientation="vertical"
      aria-label="Width of the names"
      aria-valuemin={LEAST}
      aria-valuemax={MOST}
      aria-valuenow={Math.round(names.value ?? 36)}
      tabIndex={0}
      title="Drag to move, double-click to reset"
      onPointerDown={(event) => {
        if (event.button !== 0) return;
        event.preventDefault();
        event.currentTarget.setPointerCapture(event.pointerId);
      }}
      onPointerMove={onPointerMove}
      onDblClick={() => move(undefined)}
      onKeyDown={onKeyDown}
    />
  );
}
