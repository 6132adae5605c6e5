// What the reader chose stays chosen in this browser.

const NAME = (key: string): string => `autotrace.${key}`;

export function remembered(key: string): string | null {
  try {
    return localStorage.getItem(NAME(key));
  } catch {
    return null;
  }
}

/** Storage may be forbidden or full; then the choice lasts as long as the page. */
export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(NAME(key), value);
  } catch {
    return;
  }
}
