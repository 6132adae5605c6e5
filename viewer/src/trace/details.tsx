// Everything about the selected span.

import type { ComponentChildren } from "preact";

import type { Attributes, Value, WireEvent } from "../api";
import { copy } from "../clipboard";
import * as format from "../format";
import { href } from "../location";
import { quoteTag } from "../search/query";
import { Icon } from "../ui/icons";
import { Swatch } from "../ui/swatch";
import { attribute, hueOf, serviceOf, type Span, type Trace } from "./model";
import { layout } from "./sql";
import { type Line, lines, runs } from "./stacktrace";
import { select, zoomTo } from "./state";

const STATEMENT = ["db.query.text", "db.statement", "db.query.summary", "sql.query"];
/** Letters from which on a value scrolls in a box of its own. */
const LONG = 600;
const STACK = "exception.stacktrace";

/** The address, when following it is harmless. Anything may stand in an attribute, `javascript:` too. */
function safeLink(value: Value): string | undefined {
  if (typeof value !== "string" || !/^https?:\/\/[^\s]+$/i.test(value)) return undefined;
  try {
    const url = new URL(value);
    return url.protocol === "http:" || url.protocol === "https:" ? url.href : undefined;
  } catch {
    return undefined;
  }
}

function Section({
  title,
  count,
  closed,
  children,
}: {
  title: string;
  count?: number;
  closed?: boolean;
  children: ComponentChildren;
}) {
  return (
    <details class="section" open={!closed}>
      <summary>
        <Icon name="right" size={10} />
        {title}
        {count !== undefined && <span class="muted">{count}</span>}
      </summary>
      {children}
    </details>
  );
}

function CopyButton({ text, what }: { text: string; what: string }) {
  return (
    <button
      type="button"
      class="copy"
      aria-label={`Copy ${what}`}
      title={`Copy ${what}`}
      onClick={() => void copy(text, "Value")}
    >
      <Icon name="copy" size={12} />
    </button>
  );
}

function AttributeTable({ attributes, searchable }: { attributes: Attributes; searchable?: boolean }) {
  return (
    <dl class="attributes">
      {[...attributes]
        .sort(([a], [b]) => a.localeCompare(b))
        .map(([key, value]) => {
          const shown = format.text(value);
          const link = safeLink(value);
          return (
            <div key={key}>
              <dt>{key}</dt>
              <dd>
                <span class={`value ${typeof value} ${shown.length > LONG ? "long" : ""}`}>
                  {link ? (
                    <a href={link} target="_blank" rel="noopener noreferrer nofollow">
                      {shown}
                    </a>
                  ) : (
                    shown || <em class="muted">empty</em>
                  )}
                </span>
                <span class="value-actions">
                  {searchable && typeof value !== "object" && (
                    <a
                      class="copy"
                      href={href("/", { tags: quoteTag(key, shown) })}
                      title="Find traces with this"
                      aria-label={`Find traces with this ${key}`}
                    >
                      <Icon name="search" size={12} />
                    </a>
                  )}
                  <CopyButton text={shown} what={key} />
                </span>
              </dd>
            </div>
          );
        })}
    </dl>
  );
}

function Statement({ sql }: { sql: string }) {
  const tokens = layout(sql);
  return (
    <div class="code">
      <CopyButton text={sql} what="statement" />
      <pre tabIndex={0}>
        {tokens
          ? tokens.map((token, index) =>
              token.kind === "space" || token.kind === "word" || token.kind === "mark" ? (
                token.text
              ) : (
                <span key={index} class={`sql-${token.kind}`}>
                  {token.text}
                </span>
              ),
            )
          : sql}
      </pre>
    </div>
  );
}

const stackLine = (line: Line, index: number) => (
  <span key={index} class={`stack-${line.kind}`}>
    {`${line.text}\n`}
  </span>
);

function Stack({ trace }: { trace: string }) {
  return (
    <div class="code">
      <CopyButton text={trace} what="stack trace" />
      <pre tabIndex={0}>
        {runs(lines(trace)).map((run, index) =>
          run.frames ? (
            <details key={index} class="frames">
              <summary>{run.frames} frames of libraries</summary>
              {run.lines.map(stackLine)}
            </details>
          ) : (
            run.lines.map(stackLine)
          ),
        )}
      </pre>
    </div>
  );
}

function Event({ event, span }: { event: WireEvent; span: Span }) {
  const stack = attribute(event.attributes, STACK);
  const thrown = event.name === "exception";
  const type = attribute(event.attributes, "exception.type");
  const message = attribute(event.attributes, "exception.message");
  const rest = event.attributes.filter(
    ([key]) => key !== STACK && !(thrown && (key === "exception.type" || key === "exception.message")),
  );
  return (
    <li class={`event ${thrown ? "thrown" : ""}`}>
      <div class="event-head">
        <strong>{thrown ? (type ?? "exception") : event.name}</strong>
        <span class="muted" title={`${format.duration(event.time)} after the start of the trace`}>
          +{format.duration(Math.max(0, event.time - span.start))}
        </span>
      </div>
      {thrown && message && <p>{message}</p>}
      {rest.length > 0 && <AttributeTable attributes={rest} />}
      {stack && <Stack trace={stack} />}
    </li>
  );
}

function Fact({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{title}</dt>
      <dd>{children}</dd>
    </div>
  );
}

export function Details({ trace, span }: { trace: Trace; span: Span }) {
  const service = serviceOf(trace, span);
  const statement = attribute(span.attributes, ...STATEMENT);
  const resource = trace.resources[span.resource]?.attributes ?? [];
  const scope = trace.scopes[span.scope];
  const attributes = statement
    ? span.attributes.filter(([, value]) => format.text(value) !== statement)
    : span.attributes;
  const onPath = span.critical.reduce((sum, [from, to]) => sum + to - from, 0);
  const parent = trace.spans[span.above];
  return (
    <aside class="details" aria-label="Details of the span">
      <header>
        <div class="details-title">
          <span class="details-service">
            <Swatch service={service} of={hueOf(trace, span)} />
            {service}
            {span.kind && <span class="tag">{span.kind}</span>}
            {span.status === "ok" && <span class="tag good">ok</span>}
          </span>
          <h2>{span.name || "(no name)"}</h2>
        </div>
        <button
          type="button"
          class="button bare"
          aria-label="Close the details"
          title="Close (esc)"
          onClick={() => select(undefined)}
        >
          <Icon name="close" size={14} />
        </button>
      </header>
      <div class="details-body">
        {span.status === "error" && (
          <p class="banner bad">
            <Icon name="error" size={14} /> <span>{span.message || "This span failed."}</span>
          </p>
        )}
        {span.note && (
          <p class="banner warn">
            <Icon name="warning" size={14} /> <span>{span.note}</span>
          </p>
        )}
        <dl class="facts">
          <Fact title="Duration">{format.duration(span.duration)}</Fact>
          <Fact title="Self">
            {format.duration(span.self)}{" "}
            {span.duration ? <span class="muted">{format.share(span.self, span.duration)}</span> : null}
          </Fact>
          <Fact title="Starts at">{format.duration(span.start)}</Fact>
          {onPath > 0 && <Fact title="Critical path">{format.duration(onPath)}</Fact>}
        </dl>
        <div class="details-actions">
          <button
            type="button"
            class="button"
            onClick={() => zoomTo(trace, { from: span.start, to: span.until })}
          >
            <Icon name="zoom" size={13} /> Zoom here
          </button>
          <a class="button" href={href("/latency", { service, operation: span.name })}>
            <Icon name="latency" size={13} /> Latency
          </a>
          <a class="button" href={href("/", { service, operation: span.name })}>
            <Icon name="search" size={13} /> Others
          </a>
        </div>
        {statement && (
          <Section title="Statement">
            <Statement sql={statement} />
          </Section>
        )}
        {span.events.length > 0 && (
          <Section title="Events" count={span.events.length}>
            <ol class="events">
              {span.events.map((event, index) => (
                <Event key={index} event={event} span={span} />
              ))}
            </ol>
          </Section>
        )}
        {attributes.length > 0 && (
          <Section title="Attributes" count={attributes.length}>
            <AttributeTable attributes={attributes} searchable />
          </Section>
        )}
        {span.links.length > 0 && (
          <Section title="Links" count={span.links.length}>
            <ul class="links">
              {span.links.map((link, index) => (
                <li key={index}>
                  <a href={href(`/trace/${link.trace}`, { span: link.span })} class="mono">
                    <Icon name="link" size={12} />{" "}
                    {link.trace === trace.id ? `span ${link.span}` : `trace ${link.trace.slice(0, 12)}…`}
                  </a>
                  {link.attributes.length > 0 && <AttributeTable attributes={link.attributes} />}
                </li>
              ))}
            </ul>
          </Section>
        )}
        <Section title="Resource" count={resource.length} closed>
          <AttributeTable attributes={resource} searchable />
        </Section>
        <Section title="Identity" closed>
          <AttributeTable
            attributes={[
              ["span id", span.id],
              ["parent id", span.parent || "none"],
              ...(parent ? ([["parent", parent.name]] as Attributes) : []),
              ["trace id", trace.id],
              ...(scope?.name
                ? ([["scope", scope.version ? `${scope.name} ${scope.version}` : scope.name]] as Attributes)
                : []),
              ...(scope?.attributes ?? []),
            ]}
          />
        </Section>
      </div>
    </aside>
  );
}
