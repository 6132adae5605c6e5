// A service keeps its colour in all views, and from visit to visit. Only the hue is decided here: lightness and chroma are the theme's
// (styles/theme.css), so that bars have contrast in both. Hues near red are left to errors.

import { remember, remembered } from "./preference";

const KEY = "colors";
/** Services whose colours outlive the visit, the latest. */
const KEPT = 40;
const FIRST = 55;
const SPAN = 300;
const SLOTS = 20;

function hash(name: string): number {
  let value = 2166136261;
  for (let i = 0; i < name.length; i++) value = Math.imul(value ^ name.charCodeAt(i), 16777619);
  return value >>> 0;
}

const hueOf = (slot: number): number => Math.round(FIRST + (slot * SPAN) / SLOTS);

const isPair = (pair: unknown): pair is [string, number] =>
  Array.isArray(pair) &&
  typeof pair[0] === "string" &&
  Number.isInteger(pair[1]) &&
  pair[1] >= 0 &&
  pair[1] < SLOTS;

function kept(): [string, number][] {
  let pairs: unknown;
  try {
    pairs = JSON.parse(remembered(KEY) ?? "[]");
  } catch {
    pairs = []; // Something else wrote there.
  }
  return Array.isArray(pairs) ? pairs.filter(isPair) : [];
}

const slots = new Map<string, number>(kept());

/** As long as there are few services, none looks like another; its name says where the search for a hue begins. */
export function hue(service: string): number {
  let slot = slots.get(service);
  if (slot === undefined) {
    slot = free(hash(service) % SLOTS, [...slots.values()]);
    slots.set(service, slot);
    remember(KEY, JSON.stringify([...slots].slice(-KEPT)));
  }
  return hueOf(slot);
}

function free(wanted: number, taken: number[]): number {
  const apart = taken.length < 5 ? 3 : taken.length < 9 ? 2 : 1;
  // 7 has no factor in common with 20: every slot is tried, far ones first.
  for (let tries = 0; tries < SLOTS; tries++) {
    const slot = (wanted + tries * 7) % SLOTS;
    if (
      taken.every(
        (other) => Math.min((slot - other + SLOTS) % SLOTS, (other - slot + SLOTS) % SLOTS) >= apart,
      )
    )
      return slot;
  }
  return wanted;
}

let probe: CSSStyleDeclaration | undefined;

/** For canvases: what `var(--bar)` is in CSS. */
export function barColor(of: number, alpha = 1): string {
  probe ??= getComputedStyle(document.documentElement);
  return `oklch(${probe.getPropertyValue("--bar-l")} ${probe.getPropertyValue("--bar-c")} ${of} / ${alpha})`;
}

export function token(name: string): string {
  probe ??= getComputedStyle(document.documentElement);
  return probe.getPropertyValue(name).trim();
}
