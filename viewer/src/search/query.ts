// The search of the URL, and what it asks the server.

import { parseDuration } from "../format";

export const PAGE = 100;
export const MOST = 1500;

export const RANGES: { id: string; title: string; seconds: number }[] = [
  { id: "5m", title: "Last 5 minutes", seconds: 300 },
  { id: "15m", title: "Last 15 minutes", seconds: 900 },
  { id: "1h", title: "Last hour", seconds: 3600 },
  { id: "6h", title: "Last 6 hours", seconds: 6 * 3600 },
  { id: "1d", title: "Last day", seconds: 86400 },
  { id: "7d", title: "Last 7 days", seconds: 7 * 86400 },
];

/** `a=b c="d e"` as pairs. What is no pair is an error to show, never silently left out. */
export function parseTags(text: string): { tags: string[]; wrong: string } {
  const tags: string[] = [];
  const rest = text.replace(
    /([^\s="]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s"]*))/g,
    (_, key: string, quoted: string | undefined, bare: string | undefined) => {
      tags.push(`${key}=${quoted === undefined ? (bare ?? "") : quoted.replace(/\\(.)/g, "$1")}`);
      return "";
    },
  );
  return { tags, wrong: rest.trim() };
}

export const quoteTag = (key: string, value: string): string =>
  /[\s"]/.test(value) || value === "" ? `${key}="${value.replace(/["\\]/g, "\\$&")}"` : `${key}=${value}`;

export interface Range {
  range: string | null;
  start: string | null;
  end: string | null;
}

/** What the map and the latencies are of when nothing is chosen; it is what the server takes then, too. */
export const RECENT = "1h";

/** The range of a view that always has one, as parameters of a link to another. */
export function chosenRange(params: URLSearchParams): Range {
  const [start, end] = [params.get("start"), params.get("end")];
  return { range: params.get("range") ?? (start || end ? null : RECENT), start, end };
}

/** `start` and `end` in microseconds of the chosen range; absent when it is open. */
export function timeRange(params: URLSearchParams, now = Date.now()): Record<string, string> {
  const range = RANGES.find((one) => one.id === params.get("range"));
  if (range) return { start: String((now - range.seconds * 1000) * 1000) };
  const result: Record<string, string> = {};
  for (const name of ["start", "end"]) {
    const value = params.get(name);
    if (value && /^\d+$/.test(value)) result[name] = value;
  }
  return result;
}

export function toServer(params: URLSearchParams): URLSearchParams {
  const asked = new URLSearchParams(timeRange(params));
  for (const name of ["service", "operation"]) {
    const value = params.get(name);
    if (value) asked.set(name, value);
  }
  for (const tag of parseTags(params.get("tags") ?? "").tags) asked.append("tag", tag);
  for (const [from, to] of [
    ["min", "minDuration"],
    ["max", "maxDuration"],
  ] as const) {
    const us = parseDuration(params.get(from) ?? "");
    if (us !== undefined) asked.set(to, String(us));
  }
  if (params.get("errors") === "true") asked.set("errors", "true");
  asked.set("limit", String(Math.min(MOST, Number(params.get("limit")) || PAGE)));
  return asked;
}

const FILTERS = ["service", "operation", "tags", "min", "max", "errors", "range", "start", "end"];
export const filtered = (params: URLSearchParams): boolean => FILTERS.some((name) => params.has(name));
export const NO_FILTERS: Record<string, null> = Object.fromEntries(FILTERS.map((name) => [name, null]));
