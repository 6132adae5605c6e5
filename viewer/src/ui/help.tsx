// The keys that work here, in a dialog.

import { useEffect, useRef } from "preact/hooks";
import { signal } from "@preact/signals";

import { active } from "../keyboard";
import { Icon } from "./icons";

export const helpOpen = signal(false);

const NAMES: Record<string, string> = {
  ArrowDown: "↓",
  ArrowUp: "↑",
  ArrowLeft: "←",
  ArrowRight: "→",
  Escape: "esc",
  Enter: "enter",
  " ": "space",
};

export function Help() {
  const dialog = useRef<HTMLDialogElement>(null);
  const open = helpOpen.value;
  useEffect(() => {
    if (open) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open]);
  return (
    <dialog
      ref={dialog}
      class="dialog"
      aria-labelledby="help-title"
      onClose={() => (helpOpen.value = false)}
      onClick={(event) => event.target === dialog.current && dialog.current?.close()}
    >
      {open && (
        <div>
          <header>
            <h2 id="help-title">Keyboard</h2>
            <button
              type="button"
              class="button bare"
              aria-label="Close"
              onClick={() => dialog.current?.close()}
            >
              <Icon name="close" size={14} />
            </button>
          </header>
          <dl class="keys">
            {active.value.map((shortcut) => (
              <div key={shortcut.what}>
                <dt>
                  {shortcut.keys.map((key) => (
                    <kbd key={key}>{NAMES[key] ?? key}</kbd>
                  ))}
                </dt>
                <dd>{shortcut.what}</dd>
              </div>
            ))}
          </dl>
          <p class="muted">
            Drop a file of traces anywhere to import it: Jaeger JSON, OTLP JSON or Zipkin JSON.
          </p>
        </div>
      )}
    </dialog>
  );
}
