// Keys of the view that is open. Views name theirs, so that the help dialog cannot go out of date.

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

export interface Shortcut {
  /** As `KeyboardEvent.key` says it. */
  keys: string[];
  what: string;
  run: (event: KeyboardEvent) => void;
}

export const active = signal<readonly Shortcut[]>([]);
const layers: (readonly Shortcut[])[] = [];

function typing(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

export function useShortcuts(shortcuts: Shortcut[]): void {
  const latest = useRef(shortcuts);
  latest.current = shortcuts;
  useEffect(() => {
    // Their functions change with every rendering; what is registered looks the newest up.
    const layer = shortcuts.map((shortcut, index) => ({
      ...shortcut,
      run: (event: KeyboardEvent) => latest.current[index]?.run(event),
    }));
    layers.push(layer);
    active.value = layers.flat();
    return () => {
      layers.splice(layers.indexOf(layer), 1);
      active.value = layers.flat();
    };
  }, [shortcuts.map((shortcut) => shortcut.keys.join()).join(";")]);
}

document.addEventListener("keydown", (event) => {
  if (
    event.defaultPrevented ||
    event.ctrlKey ||
    event.metaKey ||
    event.altKey ||
    document.querySelector("dialog[open]")
  )
    return;
  if (typing(event.target)) {
    if (event.key === "Escape") (event.target as HTMLElement).blur();
    return;
  }
  // Enter and space belong to the button or link that has the focus.
  if (
    (event.key === "Enter" || event.key === " ") &&
    event.target instanceof Element &&
    event.target.closest("button, a, summary")
  )
    return;
  for (const layer of [...layers].reverse()) {
    const found = layer.find((shortcut) => shortcut.keys.includes(event.key));
    if (found) {
      event.preventDefault();
      found.run(event);
      return;
    }
  }
});
