// A button that opens a list of actions below it.

import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

import { Icon, type IconName } from "./icons";

export function Menu({
  icon,
  label,
  children,
}: {
  icon?: IconName;
  label: string;
  children: (close: () => void) => ComponentChildren;
}) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (!open) return;
    const leave = (event: Event) => {
      if (
        event instanceof KeyboardEvent ? event.key !== "Escape" : root.current?.contains(event.target as Node)
      )
        return;
      if (event instanceof KeyboardEvent) event.preventDefault();
      setOpen(false);
    };
    document.addEventListener("pointerdown", leave);
    document.addEventListener("keydown", leave, true);
    return () => {
      document.removeEventListener("pointerdown", leave);
      document.removeEventListener("keydown", leave, true);
    };
  }, [open]);
  return (
    <div class="menu" ref={root}>
      <button
        type="button"
        class="button"
        aria-label={label}
        aria-haspopup="true"
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      >
        {icon && <Icon name={icon} size={14} />}
        <span class="label">{label}</span>
        <Icon name="down" size={12} />
      </button>
      {open && <div class="menu-list">{children(() => setOpen(false))}</div>}
    </div>
  );
}
