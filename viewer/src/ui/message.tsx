// What a view shows instead of its content: an error, nothing found, nothing yet.

import type { ComponentChildren } from "preact";

import { ApiError } from "../api";
import { Icon, type IconName } from "./icons";

export function Message({
  icon,
  title,
  children,
}: {
  icon?: IconName;
  title: string;
  children?: ComponentChildren;
}) {
  return (
    <div class="message" role="status">
      {icon && <Icon name={icon} size={22} />}
      <h2>{title}</h2>
      {children}
    </div>
  );
}

export function Failure({ error, what, again }: { error: Error; what: string; again: () => void }) {
  const missing = error instanceof ApiError && error.status === 404;
  return (
    <div class="message bad" role="alert">
      <Icon name="error" size={22} />
      <h2>{missing ? `${what} is not in the store` : `${what} could not be loaded`}</h2>
      <p>
        {missing
          ? "It was never received, is still on its way, or has been removed since: the store keeps what is newest."
          : error.message}
      </p>
      <p>
        <button type="button" class="button" onClick={again}>
          Try again
        </button>
      </p>
    </div>
  );
}

/** Shown after a moment only, so that fast answers do not flicker. */
export function Waiting({ what }: { what: string }) {
  return (
    <div class="waiting" role="status">
      <span class="visually-hidden">Loading {what}</span>
      <i />
      <i />
      <i />
    </div>
  );
}
