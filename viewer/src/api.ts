// What the server answers under /api/viewer. Times are microseconds since the epoch, durations microseconds.

export type Value = string | number | boolean | null | Value[] | { [key: string]: Value };
export type Attributes = [string, Value][];

export interface ServicePart {
  name: string;
  spans: number;
  errors: number;
  duration: number;
}

export interface Summary {
  id: string;
  start: number;
  duration: number;
  spans: number;
  errors: number;
  root: { service: string; name: string };
  services: ServicePart[];
}

export interface WireEvent {
  time: number;
  name: string;
  attributes: Attributes;
}

export interface WireLink {
  trace: string;
  span: string;
  attributes: Attributes;
}

export interface WireSpan {
  id: string;
  parent: string;
  depth: number;
  children: number;
  name: string;
  kind: string;
  service: number;
  resource: number;
  scope: number;
  /** Since the start of the trace. */
  start: number;
  duration: number | null;
  self: number;
  status: "unset" | "ok" | "error";
  message: string;
  critical: [number, number][];
  attributes: Attributes;
  events: WireEvent[];
  links: WireLink[];
  note: string;
}

export interface WireTrace {
  id: string;
  start: number;
  duration: number;
  errors: number;
  services: string[];
  resources: { service: number; attributes: Attributes }[];
  scopes: { name: string; version: string; attributes: Attributes }[];
  spans: WireSpan[];
  linkedFrom: { trace: string; span: string; name: string; service: string }[];
}

export interface MapService {
  name: string;
  spans: number;
  errors: number;
  traces: number;
  kind?: "database" | "external" | "messaging";
}

export interface MapEdge {
  from: string;
  to: string;
  calls: number;
  errors: number;
  p50: number;
  p95: number;
}

export interface ServiceMap {
  services: MapService[];
  edges: MapEdge[];
  seconds: number;
  /** That not all of the range was looked at. */
  note?: string;
}

export interface Bucket {
  from: number;
  to: number;
  count: number;
  errors: number;
}

export interface Moment {
  time: number;
  count: number;
  errors: number;
  p50: number | null;
  p95: number | null;
  p99: number | null;
}

export interface Latency {
  count: number;
  errors: number;
  p50: number;
  p95: number;
  p99: number;
  max: number;
  histogram: Bucket[];
  series: Moment[];
  note?: string;
}

export interface Status {
  version: string;
  store: {
    path: string;
    bytes: number;
    traces: number;
    spans: number;
    oldest: number | null;
    newest: number | null;
  };
  receivers: { name: string; address: string; on: boolean; note: string }[];
  received: number;
  dropped: number;
}

const BASE = "/api/viewer";

export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message);
  }
}

async function fetched(path: string, options: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError("autotrace ui does not answer. Is it still running?", 0);
  }
  if (response.ok) return response;
  const text = await response.text();
  let message = `${response.status} ${response.statusText}`;
  try {
    const body = JSON.parse(text) as { error?: unknown };
    if (typeof body.error === "string") message = body.error;
  } catch {
    // Not ours: a proxy's page, say. The status line tells enough.
  }
  throw new ApiError(message, response.status);
}

async function json<T>(path: string, options: RequestInit): Promise<T> {
  return (await (await fetched(path, options)).json()) as T;
}

const query = (params: URLSearchParams): string => (params.size ? `?${params}` : "");

export const api = {
  services: (signal: AbortSignal) =>
    json<{ services: { name: string; operations: number }[] }>(`${BASE}/services`, { signal }),
  operations: (service: string, signal: AbortSignal) =>
    json<{ operations: { name: string; kind: string }[] }>(
      `${BASE}/operations?${new URLSearchParams({ service })}`,
      { signal },
    ),
  traces: (params: URLSearchParams, signal: AbortSignal) =>
    json<{ traces: Summary[]; complete: boolean }>(`${BASE}/traces${query(params)}`, { signal }),
  trace: (id: string, signal: AbortSignal) =>
    json<WireTrace>(`${BASE}/traces/${encodeURIComponent(id)}`, { signal }),
  map: (params: URLSearchParams, signal: AbortSignal) =>
    json<ServiceMap>(`${BASE}/map${query(params)}`, { signal }),
  latency: (params: URLSearchParams, signal: AbortSignal) =>
    json<Latency>(`${BASE}/latency${query(params)}`, { signal }),
  status: (signal: AbortSignal) => json<Status>(`${BASE}/status`, { signal }),
  live: (params: URLSearchParams) => new EventSource(`${BASE}/live${query(params)}`),
  remove: (id?: string) =>
    json<{ removed: number }>(`${BASE}/traces${id ? `/${encodeURIComponent(id)}` : ""}`, {
      method: "DELETE",
    }),
  importFile: (file: Blob) =>
    json<{ traces: string[]; spans: number }>(`${BASE}/import`, {
      method: "POST",
      body: file,
      headers: { "Content-Type": "application/json" },
    }),
};

export type TraceFormat = "jaeger" | "otlp" | "text";

export const exportUrl = (id: string, format: TraceFormat): string =>
  format === "jaeger"
    ? `/api/traces/${encodeURIComponent(id)}?prettyPrint=true`
    : `${BASE}/traces/${encodeURIComponent(id)}/${format}`;

export async function exported(id: string, format: TraceFormat): Promise<string> {
  return (await fetched(exportUrl(id, format), {})).text();
}
