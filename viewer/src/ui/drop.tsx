// A file of traces dropped anywhere on the page, or chosen, is imported and shown.

import { useEffect, useState } from "preact/hooks";

import { api } from "../api";
import { plural } from "../format";
import { navigate } from "../location";
import { say } from "../toast";
import { Icon } from "./icons";

const LIMIT = 64 * 1024 * 1024;

export async function importFile(file: File): Promise<void> {
  if (file.size > LIMIT) return say(`${file.name} is larger than 64 MB`, true);
  say(`Importing ${file.name}`);
  try {
    const { traces, spans } = await api.importFile(file);
    const first = traces[0];
    if (!first) return say(`No spans in ${file.name}`, true);
    say(
      spans
        ? `${plural(spans, "span")} in ${plural(traces.length, "trace")} imported`
        : `What is in ${file.name} is here already`,
    );
    navigate(traces.length === 1 ? `/trace/${first}` : "/");
  } catch (error) {
    say(`${file.name}: ${error instanceof Error ? error.message : String(error)}`, true);
  }
}

export function chooseFile(): void {
  const input = document.createElement("input");
  input.type = "file";
  input.accept = ".json,application/json";
  input.onchange = () => {
    const file = input.files?.[0];
    if (file) void importFile(file);
  };
  input.click();
}

export function DropTarget() {
  const [over, setOver] = useState(false);
  useEffect(() => {
    let depth = 0;
    const carriesFile = (event: DragEvent) => Boolean(event.dataTransfer?.types.includes("Files"));
    const enter = (event: DragEvent) => {
      if (!carriesFile(event)) return;
      event.preventDefault();
      depth++;
      setOver(true);
    };
    const move = (event: DragEvent) => carriesFile(event) && event.preventDefault();
    const leave = () => {
      depth = Math.max(0, depth - 1);
      if (!depth) setOver(false);
    };
    const drop = (event: DragEvent) => {
      if (!carriesFile(event)) return;
      event.preventDefault();
      depth = 0;
      setOver(false);
      const file = event.dataTransfer?.files[0];
      if (file) void importFile(file);
    };
    document.addEventListener("dragenter", enter);
    document.addEventListener("dragover", move);
    document.addEventListener("dragleave", leave);
    document.addEventListener("drop", drop);
    return () => {
      document.removeEventListener("dragenter", enter);
      document.removeEventListener("dragover", move);
      document.removeEventListener("dragleave", leave);
      document.removeEventListener("drop", drop);
    };
  }, []);
  if (!over) return null;
  return (
    <div class="drop">
      <div>
        <Icon name="upload" size={28} />
        <p>Drop a file of traces to import it</p>
        <p class="muted">Jaeger JSON, OTLP JSON, Zipkin JSON</p>
      </div>
    </div>
  );
}
