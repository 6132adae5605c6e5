// `/latency?service=…&operation=…`: how long an operation takes, and how that changed.

import { api } from "../api";
import * as format from "../format";
import { useLoading } from "../loading";
import { href, navigate, place, update } from "../location";
import { OperationSelect, RangeSelect, ServiceSelect } from "../search/filters";
import { chosenRange, RECENT, timeRange } from "../search/query";
import { Icon } from "../ui/icons";
import { Failure, Message, Waiting } from "../ui/message";
import { Swatch } from "../ui/swatch";
import { Histogram } from "./histogram";
import { type Curve, Series } from "./series";

const PERCENTILES: Curve[] = [
  { name: "p50", of: (moment) => moment.p50, color: "--curve-1" },
  { name: "p95", of: (moment) => moment.p95, color: "--curve-2" },
  { name: "p99", of: (moment) => moment.p99, color: "--curve-3" },
];
const CALLS: Curve[] = [
  { name: "Calls", of: (moment) => moment.count, color: "--curve-1", bars: true },
  { name: "Errors", of: (moment) => moment.errors || null, color: "--bad-fill", bars: true },
];

const narrow = (start: number, end: number): void =>
  update({ start: String(Math.floor(start)), end: String(Math.ceil(end)), range: null }, true);

export function LatencyView() {
  const { params } = place.value;
  const service = params.get("service") ?? "";
  const operation = params.get("operation") ?? "";
  return (
    <div class="latency">
      <div class="page-head">
        <h1>Latency</h1>
        <span class="grow" />
        <ServiceSelect
          value={service}
          all="Choose a service"
          onPick={(picked) => update({ service: picked, operation: null }, true)}
        />
        <OperationSelect
          service={service}
          value={operation}
          onPick={(picked) => update({ operation: picked }, true)}
        />
        <RangeSelect otherwise={RECENT} />
      </div>
      {service ? <Loaded service={service} operation={operation} /> : <Choice />}
    </div>
  );
}

function Choice() {
  const { data } = useLoading("services", api.services);
  return (
    <Message icon="latency" title={data && !data.services.length ? "No services yet" : "Choose a service"}>
      <p>How long its operations take, how often they fail, and how that changes over time.</p>
      <ul class="choices">
        {data?.services.slice(0, 40).map((one) => (
          <li key={one.name}>
            <a class="button" href={href("/latency", { service: one.name }, place.value.params)}>
              <Swatch service={one.name} /> {one.name}
            </a>
          </li>
        ))}
      </ul>
    </Message>
  );
}

function Loaded({ service, operation }: { service: string; operation: string }) {
  const { params } = place.value;
  const range = chosenRange(params);
  const { data, error, again } = useLoading(
    `${service}\n${operation}\n${JSON.stringify(range)}`,
    (signal) => {
      const asked = new URLSearchParams({ ...timeRange(params), service });
      if (operation) asked.set("operation", operation);
      return api.latency(asked, signal);
    },
  );
  if (error) return <Failure error={error} what="The latency" again={again} />;
  if (!data) return <Waiting what="the latency" />;
  if (!data.count) {
    return (
      <Message icon="latency" title="Nothing in this time">
        <p>Choose a wider time range or another operation.</p>
      </Message>
    );
  }
  const search = (more: Record<string, string>) => href("/", { ...range, service, operation, ...more });
  return (
    <div class="latency-body">
      <dl class="facts">
        <div>
          <dt>Calls</dt>
          <dd>{format.count(data.count)}</dd>
        </div>
        <div>
          <dt>Errors</dt>
          <dd class={data.errors ? "bad" : ""}>{format.share(data.errors, data.count)}</dd>
        </div>
        {(["p50", "p95", "p99", "max"] as const).map((name) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{format.duration(data[name])}</dd>
          </div>
        ))}
        {data.note && <p class="muted">{data.note}</p>}
        <div class="latency-links">
          <a class="button" href={search({})}>
            <Icon name="search" size={13} /> Traces
          </a>
          <a class="button" href={search({ min: format.typedDuration(data.p95) })}>
            Slowest 5%
          </a>
        </div>
      </dl>
      <section class="card" aria-label="Histogram">
        <h2>How long it takes</h2>
        <Histogram
          latency={data}
          onPick={(bucket) =>
            navigate(search({ min: format.typedDuration(bucket.from), max: format.typedDuration(bucket.to) }))
          }
        />
      </section>
      <section class="card" aria-label="Percentiles over time">
        <Series
          label="Percentiles over time"
          moments={data.series}
          curves={PERCENTILES}
          height={200}
          show={format.duration}
          onRange={narrow}
        />
      </section>
      <section class="card" aria-label="Calls over time">
        <Series
          label="Calls over time"
          moments={data.series}
          curves={CALLS}
          height={130}
          show={format.compact}
          onRange={narrow}
        />
      </section>
    </div>
  );
}
