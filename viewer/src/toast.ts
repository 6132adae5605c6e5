// One line at the bottom of the page that goes by itself.

import { signal } from "@preact/signals";

export interface Toast {
  text: string;
  bad: boolean;
}

export const toast = signal<Toast | undefined>(undefined);
let timer = 0;

export function say(text: string, bad = false): void {
  toast.value = { text, bad };
  window.clearTimeout(timer);
  timer = window.setTimeout(() => (toast.value = undefined), bad ? 8000 : 2500);
}
