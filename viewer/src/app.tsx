// The frame around every view, and which view a path means.

import { useEffect } from "preact/hooks";

import { CompareView } from "./compare/view";
import { useShortcuts } from "./keyboard";
import { LatencyView } from "./latency/view";
import { navigate, place } from "./location";
import { MapView } from "./map/view";
import { SearchView } from "./search/view";
import { dark, toggleTheme } from "./theme";
import { toast } from "./toast";
import { TraceView } from "./trace/view";
import { DropTarget } from "./ui/drop";
import { Help, helpOpen } from "./ui/help";
import { Icon, type IconName } from "./ui/icons";
import { Message } from "./ui/message";

const VIEWS: { path: string; title: string; icon: IconName }[] = [
  { path: "/", title: "Traces", icon: "search" },
  { path: "/map", title: "Map", icon: "map" },
  { path: "/latency", title: "Latency", icon: "latency" },
];

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function View({ path }: { path: string }) {
  const parts = path.split("/").filter(Boolean).map(decoded);
  const [view, first, second] = parts;
  if (!view || view === "search") return <SearchView />;
  if (view === "trace" && first && parts.length === 2) return <TraceView key={first} id={first} />;
  if (view === "compare" && first && second && parts.length === 3)
    return <CompareView a={first} b={second} />;
  if (view === "map" && parts.length === 1) return <MapView />;
  if (view === "latency" && parts.length === 1) return <LatencyView />;
  return (
    <Message title="There is no such page">
      <p>
        <a href="/">Search for traces</a>
      </p>
    </Message>
  );
}

export function App() {
  const { path } = place.value;
  useShortcuts([
    { keys: ["?"], what: "Show the keys", run: () => (helpOpen.value = true) },
    { keys: ["T"], what: "Light or dark", run: toggleTheme },
    { keys: ["S"], what: "Go to the traces", run: () => navigate("/") },
    { keys: ["M"], what: "Go to the map", run: () => navigate("/map") },
    { keys: ["L"], what: "Go to the latencies", run: () => navigate("/latency") },
  ]);
  useEffect(() => {
    const view = VIEWS.find((one) => one.path === path);
    if (view) document.title = `${view.title} · autotrace`;
  }, [path]);
  const section = path === "/" || /^\/(trace|compare|search)\b/.test(path) ? "/" : path;
  return (
    <>
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          document.getElementById("main")?.focus();
        }}
      >
        Skip to the content
      </a>
      <header class="topbar">
        <a class="brand" href="/">
          <img src="/icon.svg" alt="" width="20" height="20" />
          <span>autotrace</span>
        </a>
        <nav aria-label="Views">
          {VIEWS.map((view) => (
            <a key={view.path} href={view.path} aria-current={section === view.path ? "page" : undefined}>
              <Icon name={view.icon} size={14} />
              {view.title}
            </a>
          ))}
        </nav>
        <form
          class="goto"
          role="search"
          onSubmit={(event) => {
            event.preventDefault();
            const field = event.currentTarget.elements.namedItem("id") as HTMLInputElement;
            const id = field.value.trim().toLowerCase();
            if (!/^[0-9a-f]{1,32}$/.test(id)) return;
            field.value = "";
            navigate(`/trace/${id}`);
          }}
        >
          <input
            name="id"
            class="input mono"
            placeholder="Trace ID"
            aria-label="Open a trace by its ID"
            autocomplete="off"
            spellcheck={false}
          />
        </form>
        <button
          type="button"
          class="button bare"
          aria-label={dark.value ? "Light theme" : "Dark theme"}
          title={dark.value ? "Light theme (T)" : "Dark theme (T)"}
          onClick={toggleTheme}
        >
          <Icon name={dark.value ? "sun" : "moon"} />
        </button>
        <button
          type="button"
          class="button bare"
          aria-label="Keyboard help"
          title="Keyboard (?)"
          onClick={() => (helpOpen.value = true)}
        >
          <Icon name="help" />
        </button>
      </header>
      <main id="main" tabIndex={-1}>
        <View path={path} />
      </main>
      <Help />
      <DropTarget />
      <div class="toasts" role="status" aria-live="polite">
        {toast.value && <div class={`toast ${toast.value.bad ? "bad" : ""}`}>{toast.value.text}</div>}
      </div>
    </>
  );
}
