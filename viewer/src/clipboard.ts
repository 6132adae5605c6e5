import { say } from "./toast";

/** Copy and say so. Pages that are not served from this machine have no clipboard API without TLS. */
export async function copy(text: string, what: string): Promise<void> {
  try {
    if (navigator.clipboard) await navigator.clipboard.writeText(text);
    else copyBySelection(text);
    say(`${what} copied`);
  } catch {
    say(`The browser did not let us copy ${what.toLowerCase()}`, true);
  }
}

function copyBySelection(text: string): void {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "offscreen";
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  if (!copied) throw new Error("refused");
}
