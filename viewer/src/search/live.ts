// Traces as they arrive, newest first, while somebody watches.

import { useEffect, useState } from "preact/hooks";

import { api, type Summary } from "../api";

const KEPT = 300;

export interface Live {
  traces: Summary[];
  connected: boolean;
}

export function merge(before: Summary[], arrived: Summary[]): Summary[] {
  const ids = new Set(arrived.map((trace) => trace.id));
  return [...arrived, ...before.filter((trace) => !ids.has(trace.id))]
    .sort((a, b) => b.start - a.start)
    .slice(0, KEPT);
}

export function useLive(on: boolean, key: string, params: () => URLSearchParams): Live {
  const [live, setLive] = useState<Live>({ traces: [], connected: false });
  useEffect(() => {
    setLive({ traces: [], connected: false });
    if (!on) return;
    const source = api.live(params());
    source.addEventListener("hello", () => setLive((before) => ({ ...before, connected: true })));
    source.addEventListener("traces", (event) => {
      const { traces } = JSON.parse((event as MessageEvent<string>).data) as { traces: Summary[] };
      setLive((before) => ({ traces: merge(before.traces, traces), connected: true }));
    });
    source.onerror = () => setLive((before) => ({ ...before, connected: false }));
    return () => source.close();
  }, [on, key]);
  return live;
}
