// Numbers and times as people read them. All durations are microseconds.

import type { Value } from "./api";

const NARROW = "\u202f";

function significant(value: number): string {
  return value >= 100
    ? value.toFixed(0)
    : value >= 10
      ? value.toFixed(1).replace(/\.0$/, "")
      : value.toFixed(2).replace(/\.?0+$/, "");
}

export function duration(us: number | null | undefined): string {
  if (us === null || us === undefined) return "unfinished";
  if (us === 0) return `0${NARROW}µs`;
  if (us < 999.5) return `${significant(us)}${NARROW}µs`;
  if (us < 999_500) return `${significant(us / 1e3)}${NARROW}ms`;
  if (us < 60e6) return `${significant(us / 1e6)}${NARROW}s`;
  const seconds = Math.round(us / 1e6);
  if (seconds < 3600) return `${Math.floor(seconds / 60)}${NARROW}min ${seconds % 60}${NARROW}s`;
  return `${Math.floor(seconds / 3600)}${NARROW}h ${Math.floor((seconds % 3600) / 60)}${NARROW}min`;
}

const UNITS: Record<string, number> = { us: 1, µs: 1, ms: 1e3, s: 1e6, m: 60e6, min: 60e6, h: 3600e6 };

/** "1.5s", "20 ms", "300us"; a bare number counts as milliseconds. Undefined when it is no duration. */
export function parseDuration(text: string): number | undefined {
  const found = /^\s*(\d+(?:\.\d+)?|\.\d+)\s*(us|µs|ms|s|min|m|h)?\s*$/i.exec(text);
  if (!found) return undefined;
  return Math.round(Number(found[1]) * (UNITS[(found[2] ?? "ms").toLowerCase()] ?? 1e3));
}

/** As it is typed into a field, and understood by parseDuration. */
export function typedDuration(us: number): string {
  if (us >= 1e6) return `${+(us / 1e6).toFixed(3)}s`;
  if (us >= 1e3) return `${+(us / 1e3).toFixed(3)}ms`;
  return `${Math.round(us)}us`;
}

const number = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const count = (value: number): string => number.format(value);
export const compact = (value: number): string =>
  value < 10_000 ? number.format(value) : short.format(value);
export const plural = (value: number, noun: string): string =>
  `${count(value)}${"\u00a0"}${noun}${value === 1 ? "" : "s"}`;

export function share(part: number, whole: number): string {
  if (!whole || !part) return "0%";
  const percent = (part / whole) * 100;
  return percent < 0.1 ? "<0.1%" : `${percent < 10 ? +percent.toFixed(1) : percent.toFixed(0)}%`;
}

export function rate(calls: number, seconds: number): string {
  if (!seconds) return compact(calls);
  const perSecond = calls / seconds;
  if (perSecond >= 1) return `${significant(perSecond)}/s`;
  const perMinute = perSecond * 60;
  return perMinute >= 1 ? `${significant(perMinute)}/min` : `${significant(perMinute * 60)}/h`;
}

export function bytes(value: number): string {
  if (value < 1000) return `${value}${NARROW}B`;
  if (value < 1e6) return `${significant(value / 1e3)}${NARROW}kB`;
  if (value < 1e9) return `${significant(value / 1e6)}${NARROW}MB`;
  return `${significant(value / 1e9)}${NARROW}GB`;
}

const two = (value: number): string => String(value).padStart(2, "0");
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

export function clock(us: number, fraction = 0): string {
  const date = new Date(us / 1e3);
  const base = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return fraction
    ? `${base}.${String(Math.floor(us % 1e6))
        .padStart(6, "0")
        .slice(0, fraction)}`
    : base;
}

export function day(us: number): string {
  const date = new Date(us / 1e3);
  const today = new Date();
  if (date.toDateString() === today.toDateString()) return "Today";
  const year = date.getFullYear() === today.getFullYear() ? "" : ` ${date.getFullYear()}`;
  return `${date.getDate()} ${MONTHS[date.getMonth()]}${year}`;
}

export const moment = (us: number, fraction = 0): string => {
  const of = day(us);
  return of === "Today" ? clock(us, fraction) : `${of}, ${clock(us, fraction)}`;
};

export function text(value: Value): string {
  if (typeof value === "string") return value;
  return Array.isArray(value)
    ? `[${value.map((one) => JSON.stringify(one)).join(", ")}]`
    : JSON.stringify(value);
}
