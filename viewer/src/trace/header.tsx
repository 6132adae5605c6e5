// What the trace is, and what can be done with all of it.

import { exported, exportUrl, type TraceFormat } from "../api";
import { copy } from "../clipboard";
import * as format from "../format";
import { href, navigate } from "../location";
import { say } from "../toast";
import { Delete } from "../ui/delete";
import { Icon } from "../ui/icons";
import { Menu } from "../ui/menu";
import { Swatch } from "../ui/swatch";
import { serviceOf, type Trace } from "./model";

const FORMATS: { id: TraceFormat; title: string }[] = [
  { id: "jaeger", title: "Jaeger JSON" },
  { id: "otlp", title: "OTLP JSON" },
  { id: "text", title: "Text" },
];

async function copyAs(trace: Trace, form: (typeof FORMATS)[number]): Promise<void> {
  try {
    await copy(await exported(trace.id, form.id), form.title);
  } catch (error) {
    say(error instanceof Error ? error.message : String(error), true);
  }
}

export function Header({ trace }: { trace: Trace }) {
  const root = trace.spans[0];
  const service = root ? serviceOf(trace, root) : "";
  const roots = trace.spans.filter((span) => span.depth === 0).length;
  return (
    <header class="trace-header">
      <div class="trace-title">
        <a class="button bare back" href="/" aria-label="Back to the traces" title="Traces">
          <Icon name="left" size={14} />
        </a>
        <h1 title={`${service}: ${root?.name ?? ""}`}>
          <Swatch service={service} of={trace.hues[root?.service ?? 0] ?? 0} />
          <span class="muted title-service">{service}</span>
          <span>{root?.name || "(no name)"}</span>
        </h1>
      </div>
      <dl class="trace-facts">
        <div>
          <dt>Duration</dt>
          <dd>{format.duration(trace.duration)}</dd>
        </div>
        <div>
          <dt>Started</dt>
          <dd title={new Date(trace.start / 1e3).toISOString()}>{format.moment(trace.start, 3)}</dd>
        </div>
        <div>
          <dt>Spans</dt>
          <dd>
            {format.count(trace.spans.length)}
            {roots > 1 && <span class="muted"> in {roots} trees</span>}
          </dd>
        </div>
        <div>
          <dt>Services</dt>
          <dd>{format.count(trace.services.length)}</dd>
        </div>
        <div>
          <dt>Errors</dt>
          <dd class={trace.errors ? "bad" : ""}>{format.count(trace.errors)}</dd>
        </div>
      </dl>
      <div class="trace-actions">
        <Menu icon="copy" label="Copy">
          {(close) => (
            <>
              <button
                type="button"
                onClick={() => {
                  close();
                  void copy(window.location.href, "Link");
                }}
              >
                Link to this view
              </button>
              <button
                type="button"
                onClick={() => {
                  close();
                  void copy(trace.id, "Trace ID");
                }}
              >
                Trace ID
              </button>
              <hr />
              {FORMATS.map((form) => (
                <div class="menu-row" key={form.id}>
                  <button
                    type="button"
                    onClick={() => {
                      close();
                      void copyAs(trace, form);
                    }}
                  >
                    {form.title}
                  </button>
                  <a href={exportUrl(trace.id, form.id)} target="_blank" rel="noopener" onClick={close}>
                    open
                  </a>
                </div>
              ))}
            </>
          )}
        </Menu>
        <Menu icon="compare" label="Compare">
          {() => (
            <form
              class="menu-form"
              onSubmit={(event) => {
                event.preventDefault();
                const field = event.currentTarget.elements.namedItem("other") as HTMLInputElement;
                const other = field.value.trim().toLowerCase();
                if (/^[0-9a-f]{1,32}$/.test(other)) navigate(`/compare/${trace.id}/${other}`);
                else say("A trace ID is up to 32 hexadecimal digits", true);
              }}
            >
              <label class="field">
                <span>With the trace</span>
                <input
                  class="input mono"
                  name="other"
                  placeholder="Trace ID"
                  autocomplete="off"
                  ref={(element) => element?.focus()}
                />
              </label>
              <button type="submit" class="button primary">
                Compare
              </button>
              <a class="link" href={href("/", { service, operation: root?.name, compare: trace.id })}>
                Choose among others like it
              </a>
            </form>
          )}
        </Menu>
        <Delete id={trace.id} onDone={() => navigate("/")} />
      </div>
      {trace.linkedFrom.length > 0 && (
        <p class="linked-from">
          <Icon name="link" size={12} /> Linked from{" "}
          {trace.linkedFrom.map((link, index) => (
            <span key={`${link.trace}${link.span}`}>
              {index > 0 && ", "}
              <a href={href(`/trace/${link.trace}`, { span: link.span })}>
                {link.service}: {link.name}
              </a>
            </span>
          ))}
        </p>
      )}
    </header>
  );
}
