// A Python traceback, line by line: which lines name a place, which are the program's own, which say what happened.

export interface Line {
  text: string;
  kind: "place" | "library" | "code" | "message" | "other";
}

const PLACE = /^\s*File ".*", line \d+/;
const LIBRARY = /(?:site-packages|dist-packages|lib\/python\d|<frozen )/;

export function lines(trace: string): Line[] {
  let library = false;
  return trace
    .replace(/\s+$/, "")
    .split("\n")
    .map((text) => {
      if (PLACE.test(text)) {
        library = LIBRARY.test(text);
        return { text, kind: library ? "library" : "place" };
      }
      if (/^\s/.test(text)) return { text, kind: library ? "library" : "code" };
      return {
        text,
        kind:
          /^[\w.]+(?:Error|Exception|Warning|Exit|Interrupt)?\b.*:|^[\w.]+$/.test(text) &&
          !text.startsWith("Traceback")
            ? "message"
            : "other",
      };
    });
}

/** Lines in a row of the program's own, or of libraries; a long run of the latter can be folded away. */
export interface Run {
  lines: Line[];
  /** Of libraries, when it is a run of them that is worth folding; else 0. */
  frames: number;
}

const WORTH_FOLDING = 2;

export function runs(all: Line[]): Run[] {
  const result: Run[] = [];
  for (const line of all) {
    const last = result.at(-1);
    const library = line.kind === "library";
    if (last && last.frames > 0 === library) last.lines.push(line);
    else result.push({ lines: [line], frames: library ? 1 : 0 });
  }
  for (const run of result)
    if (run.frames) run.frames = run.lines.filter((line) => PLACE.test(line.text)).length;
  for (const run of result) if (run.frames < WORTH_FOLDING) run.frames = 0;
  return result;
}
