// Nothing to show: because nothing matches, or because nothing was ever traced.

import { api } from "../api";
import { copy } from "../clipboard";
import { useLoading } from "../loading";
import { update } from "../location";
import { chooseFile } from "../ui/drop";
import { Icon } from "../ui/icons";
import { Message } from "../ui/message";
import { NO_FILTERS } from "./query";

const COMMAND = "autotrace-run python app.py";

export function NothingFound() {
  return (
    <Message icon="search" title="No trace matches">
      <p>Try a wider time range, or fewer filters.</p>
      <p>
        <button type="button" class="button" onClick={() => update(NO_FILTERS, true)}>
          Clear the filters
        </button>
      </p>
    </Message>
  );
}

export function NothingYet({ watching }: { watching: boolean }) {
  const { data: status } = useLoading("status", api.status);
  return (
    <section class="welcome" aria-label="How to get traces">
      <h1>No traces yet</h1>
      <p>Start your program under autotrace. It needs no change and no settings:</p>
      <div class="command">
        <code>{COMMAND}</code>
        <button type="button" class="button" onClick={() => void copy(COMMAND, "Command")}>
          <Icon name="copy" size={14} />
          Copy
        </button>
      </div>
      <p class={watching ? "watching" : "muted"}>
        {watching ? "Watching: traces appear here as they arrive." : "Then search again."}
      </p>
      {status && status.receivers.length > 0 && (
        <>
          <h2>Or send traces from anything else</h2>
          <ul class="receivers">
            {status.receivers.map((receiver) => (
              <li key={receiver.name} class={receiver.on ? "on" : "off"}>
                <i aria-hidden="true" />
                <span>{receiver.name}</span>
                <code>{receiver.address}</code>
                <span class="muted">
                  {receiver.on ? "" : `off${receiver.note ? `: ${receiver.note}` : ""}`}
                </span>
              </li>
            ))}
          </ul>
        </>
      )}
      <h2>Or open a file</h2>
      <p>
        Drop a file of Jaeger, OTLP or Zipkin JSON anywhere on this page, or{" "}
        <button type="button" class="link" onClick={chooseFile}>
          choose one
        </button>
        .
      </p>
      {status && (
        <p class="muted store-path">
          The store is <code>{status.store.path}</code>
        </p>
      )}
    </section>
  );
}
