// The row of filters. Lists and switches apply at once, text when it is left or entered.

import { useEffect, useState } from "preact/hooks";

import { api } from "../api";
import { moment, parseDuration } from "../format";
import { useLoading } from "../loading";
import { place, update } from "../location";
import { Icon } from "../ui/icons";
import { filtered, NO_FILTERS, parseTags, RANGES } from "./query";

/** `fresh` changes when the list should be asked for anew. */
export function ServiceSelect({
  value,
  onPick,
  all,
  fresh = 0,
}: {
  value: string;
  onPick: (service: string) => void;
  all: string;
  fresh?: number;
}) {
  const { data } = useLoading(`services ${fresh}`, api.services);
  const names = data?.services.map((one) => one.name) ?? [];
  return (
    <label class="field">
      <span>Service</span>
      <select class="input" value={value} onChange={(event) => onPick(event.currentTarget.value)}>
        <option value="">{all}</option>
        {value && !names.includes(value) && <option value={value}>{value}</option>}
        {names.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

export function OperationSelect({
  service,
  value,
  onPick,
}: {
  service: string;
  value: string;
  onPick: (operation: string) => void;
}) {
  const { data } = useLoading(`operations ${service}`, async (signal) =>
    service ? api.operations(service, signal) : { operations: [] },
  );
  const names = [...new Set(data?.operations.map((one) => one.name) ?? [])];
  return (
    <label class="field">
      <span>Operation</span>
      <select
        class="input"
        value={value}
        disabled={!service && !value}
        onChange={(event) => onPick(event.currentTarget.value)}
      >
        <option value="">{service ? "All operations" : "Any"}</option>
        {value && !names.includes(value) && <option value={value}>{value}</option>}
        {names.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

/** `otherwise` is the range when nothing is chosen: all the time where it is not given. */
export function RangeSelect({ otherwise = "" }: { otherwise?: string }) {
  const { params } = place.value;
  const [start, end] = [params.get("start"), params.get("end")];
  const own = Boolean(start ?? end);
  const title = `${start ? moment(Number(start)) : "…"} – ${end ? moment(Number(end)) : "now"}`;
  return (
    <label class="field">
      <span>Time</span>
      <select
        class="input"
        value={own ? "own" : (params.get("range") ?? otherwise)}
        onChange={(event) => update({ range: event.currentTarget.value, start: null, end: null }, true)}
      >
        {!otherwise && <option value="">Any time</option>}
        {RANGES.map((range) => (
          <option key={range.id} value={range.id}>
            {range.title}
          </option>
        ))}
        {own && <option value="own">{title}</option>}
      </select>
    </label>
  );
}

function TextFilter(props: {
  name: string;
  title: string;
  placeholder: string;
  valid: (text: string) => boolean;
  wrong: string;
  wide?: boolean;
}) {
  const value = place.value.params.get(props.name) ?? "";
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const good = !text.trim() || props.valid(text);
  return (
    <label class={`field ${props.wide ? "wide" : "narrow"}`}>
      <span>{props.title}</span>
      <input
        class="input"
        name={props.name}
        value={text}
        placeholder={props.placeholder}
        autocomplete="off"
        spellcheck={false}
        aria-invalid={!good}
        title={good ? undefined : props.wrong}
        onInput={(event) => setText(event.currentTarget.value)}
        onChange={() => good && update({ [props.name]: text.trim() }, true)}
      />
      {!good && <em role="alert">{props.wrong}</em>}
    </label>
  );
}

export function Filters({ fresh, onSearch }: { fresh: number; onSearch: () => void }) {
  const { params } = place.value;
  const service = params.get("service") ?? "";
  const isDuration = (text: string) => parseDuration(text) !== undefined;
  const [shown, setShown] = useState(false);
  return (
    <form
      class={`filters ${shown ? "shown" : ""}`}
      aria-label="Filters"
      onSubmit={(event) => {
        event.preventDefault();
        if (document.activeElement instanceof HTMLInputElement)
          document.activeElement.dispatchEvent(new Event("change"));
        onSearch();
      }}
    >
      <ServiceSelect
        value={service}
        fresh={fresh}
        all="All services"
        onPick={(picked) => update({ service: picked, operation: null }, true)}
      />
      <OperationSelect
        service={service}
        value={params.get("operation") ?? ""}
        onPick={(operation) => update({ operation }, true)}
      />
      <TextFilter
        name="tags"
        title="Tags"
        placeholder={'http.route=/orders  error.type="Sold out"'}
        wide
        valid={(text) => !parseTags(text).wrong}
        wrong='Write key=value, or key="two words"'
      />
      <TextFilter
        name="min"
        title="Longer than"
        placeholder="100ms"
        valid={isDuration}
        wrong="A duration: 300us, 20ms, 1.5s"
      />
      <TextFilter
        name="max"
        title="Shorter than"
        placeholder="2s"
        valid={isDuration}
        wrong="A duration: 300us, 20ms, 1.5s"
      />
      <RangeSelect />
      <label class="check">
        <input
          type="checkbox"
          checked={params.get("errors") === "true"}
          onChange={(event) => update({ errors: event.currentTarget.checked ? "true" : null }, true)}
        />
        Errors only
      </label>
      <div class="filter-actions">
        {filtered(params) && (
          <button type="button" class="button bare" onClick={() => update(NO_FILTERS, true)}>
            Clear
          </button>
        )}
        <button type="submit" class="button primary">
          <Icon name="search" size={14} />
          Search
        </button>
      </div>
      <button
        type="button"
        class="button more-filters"
        aria-expanded={shown}
        onClick={() => setShown(!shown)}
      >
        <Icon name="filter" size={14} />
        {shown ? "Fewer filters" : "More filters"}
      </button>
    </form>
  );
}
