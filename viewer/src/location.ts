// Where the reader is: the whole state of every view lives in the URL, so that each view is a permalink.

import { signal } from "@preact/signals";

export interface Place {
  path: string;
  params: URLSearchParams;
}

export type Changes = Record<string, string | null | undefined>;

function current(): Place {
  return { path: window.location.pathname, params: new URLSearchParams(window.location.search) };
}

export const place = signal<Place>(current());

export function href(path: string, changes: Changes = {}, base?: URLSearchParams): string {
  const params = new URLSearchParams(base);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") params.delete(name);
    else params.set(name, value);
  }
  const query = params.toString();
  return query ? `${path}?${query}` : path;
}

// Browsers refuse more than some 20 entries a second; a held key makes more. The signal is at once, the bar follows.
let pending = 0;

function flush(): void {
  if (!pending) return;
  window.clearTimeout(pending);
  pending = 0;
  window.history.replaceState(null, "", href(place.value.path, {}, place.value.params));
}

export function navigate(url: string): void {
  flush();
  window.history.pushState(null, "", url);
  place.value = current();
}

/** Change parameters of the view that is open; `remember` makes it a step of the history. */
export function update(changes: Changes, remember = false): void {
  const { path, params } = place.value;
  const url = href(path, changes, params);
  if (url === href(path, {}, params)) return;
  if (remember) return navigate(url);
  place.value = { path, params: new URLSearchParams(url.slice(path.length)) };
  window.clearTimeout(pending);
  pending = window.setTimeout(flush, 150);
}

window.addEventListener("popstate", () => {
  window.clearTimeout(pending);
  pending = 0;
  place.value = current();
});
window.addEventListener("pagehide", flush);

document.addEventListener("click", (event) => {
  if (
    event.defaultPrevented ||
    event.button !== 0 ||
    event.metaKey ||
    event.ctrlKey ||
    event.shiftKey ||
    event.altKey
  )
    return;
  const anchor = (event.target as Element | null)?.closest("a");
  if (!anchor || anchor.target || anchor.hasAttribute("download") || anchor.origin !== window.location.origin)
    return;
  if (anchor.pathname.startsWith("/api/")) return;
  event.preventDefault();
  navigate(anchor.pathname + anchor.search);
});
