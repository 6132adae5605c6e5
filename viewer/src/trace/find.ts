// Finding spans inside a trace: words, key=value, error, >20ms, <1s; all of them must hold.

import { parseDuration, text } from "../format";
import { serviceOf, type Span, type Trace } from "./model";

type Test = (span: Span, haystack: () => string) => boolean;

function tokens(query: string): string[] {
  return query.match(/[^\s"]*"[^"]*"?|[^\s"]+/g) ?? [];
}

function test(token: string): Test {
  const compared = /^([<>])(.+)$/.exec(token);
  const limit = compared && parseDuration(compared[2] ?? "");
  if (compared && limit !== undefined && limit !== null) {
    return compared[1] === ">"
      ? (span) => (span.duration ?? Infinity) >= limit
      : (span) => (span.duration ?? Infinity) <= limit;
  }
  const plain = token.replace(/"/g, "").toLowerCase();
  if (plain === "error") return (span, haystack) => span.status === "error" || haystack().includes("error");
  // Pairs are written "\nkey=value\n" in the haystack, so a pair matches from the start of its key.
  return (_, haystack) => haystack().includes(plain);
}

const haystacks = new WeakMap<Span, string>();

function haystackOf(trace: Trace, span: Span): string {
  let found = haystacks.get(span);
  if (found === undefined) {
    const parts = [
      span.name,
      `service=${serviceOf(trace, span)}`,
      `kind=${span.kind}`,
      `status=${span.status}`,
      span.message,
      span.id,
    ];
    for (const [key, value] of span.attributes) parts.push(`${key}=${text(value)}`);
    for (const event of span.events) {
      parts.push(event.name);
      for (const [key, value] of event.attributes) parts.push(`${key}=${text(value)}`);
    }
    found = parts.join("\n").toLowerCase();
    haystacks.set(span, found);
  }
  return found;
}

export function find(trace: Trace, query: string): number[] | undefined {
  const tests = tokens(query).map(test);
  if (!tests.length) return undefined;
  const found: number[] = [];
  for (const span of trace.spans) {
    if (tests.every((one) => one(span, () => haystackOf(trace, span)))) found.push(span.index);
  }
  return found;
}
