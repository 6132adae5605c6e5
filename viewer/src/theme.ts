// Light, dark, or as the system has it.

import { computed, effect, signal } from "@preact/signals";

import { remember, remembered } from "./preference";

export type Theme = "system" | "light" | "dark";
const KEY = "theme";

function stored(): Theme {
  const value = remembered(KEY);
  return value === "light" || value === "dark" ? value : "system";
}

const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");
const systemDark = signal(prefersDark.matches);
prefersDark.addEventListener("change", (event) => (systemDark.value = event.matches));

export const theme = signal<Theme>(stored());
export const dark = computed(() => (theme.value === "system" ? systemDark.value : theme.value === "dark"));

effect(() => {
  document.documentElement.dataset["theme"] = dark.value ? "dark" : "light";
});

export function toggleTheme(): void {
  theme.value = dark.value ? "light" : "dark";
  remember(KEY, theme.value);
}
