// Deletes traces for good, when it was asked for twice.

import { useState } from "preact/hooks";

import { api } from "../api";
import { plural } from "../format";
import { say } from "../toast";
import { Menu } from "./menu";

/** Of the trace `id`; without one, of all that are stored. */
export function Delete({ id, onDone }: { id?: string; onDone: () => void }) {
  const [busy, setBusy] = useState(false);
  const remove = async (close: () => void) => {
    setBusy(true);
    try {
      const { removed } = await api.remove(id);
      say(`${plural(removed, "trace")} deleted`);
      close();
      onDone();
    } catch (error) {
      say(error instanceof Error ? error.message : String(error), true);
    }
    setBusy(false);
  };
  return (
    <Menu icon="trash" label={id ? "Delete" : "Delete all"}>
      {(close) => (
        <div class="menu-form">
          <p>
            {id
              ? "Delete this trace? It cannot be brought back."
              : "Delete every trace in the store, whatever the filters show? They cannot be brought back."}
          </p>
          <button
            type="button"
            class="button danger"
            disabled={busy}
            ref={(element) => element?.focus()}
            onClick={() => void remove(close)}
          >
            {busy ? "Deleting" : id ? "Delete this trace" : "Delete all traces"}
          </button>
        </div>
      )}
    </Menu>
  );
}
