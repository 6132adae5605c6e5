// SQL laid out for reading. It never changes a token, only the white space between them.

export interface Token {
  text: string;
  kind: "keyword" | "string" | "number" | "comment" | "word" | "mark" | "space";
}

const PATTERN =
  /(--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|('(?:[^']|'')*'?|"(?:[^"]|"")*"?|`[^`]*`?)|(\b\d+(?:\.\d+)?\b)|([A-Za-z_][\w$]*)|(\s+)|([^\s])/g;

const KEYWORDS = new Set(
  (
    "select from where and or not in is null as on join left right inner outer full cross natural using group by order having limit offset union all " +
    "except intersect insert into values update set delete returning with recursive case when then else end distinct exists between like ilike asc desc " +
    "create table index drop alter add primary key foreign references constraint default begin commit rollback savepoint release over partition window " +
    "lateral fetch first next rows only for true false cast interval conflict do nothing replace pragma explain analyze view if"
  ).split(" "),
);

/** Clauses that begin a line; the words after them that belong to the same clause do not. */
const CLAUSES = new Set([
  "select",
  "from",
  "where",
  "group",
  "order",
  "having",
  "limit",
  "offset",
  "union",
  "except",
  "intersect",
  "insert",
  "values",
  "update",
  "set",
  "delete",
  "returning",
  "with",
]);
const JOINS = new Set(["left", "right", "inner", "full", "cross", "natural", "join"]);
const LIMIT = 20_000;

function tokenize(sql: string): Token[] {
  const tokens: Token[] = [];
  for (const [whole, comment, string, number, word, space] of sql.matchAll(PATTERN)) {
    const kind = comment
      ? "comment"
      : string
        ? "string"
        : number
          ? "number"
          : space
            ? "space"
            : word
              ? KEYWORDS.has(word.toLowerCase())
                ? "keyword"
                : "word"
              : "mark";
    tokens.push({ text: whole, kind });
  }
  return tokens;
}

const looksLikeSql = (text: string): boolean =>
  /^\s*(?:--|\/\*|\(?\s*(?:select|insert|update|delete|with|create|alter|drop|merge|replace|begin|pragma)\b)/i.test(
    text,
  );

/** Tokens with line breaks before clauses; undefined when this is no SQL, or so long that layout would not help. */
export function layout(sql: string): Token[] | undefined {
  if (!looksLikeSql(sql) || sql.length > LIMIT) return undefined;
  const lines = sql.trim();
  if (lines.includes("\n")) return tokenize(lines); // somebody laid it out already
  const result: Token[] = [];
  const stack: boolean[] = [];
  let before = "";
  const newline = (deeper: number) => {
    if (result.at(-1)?.kind === "space") result.pop();
    if (result.length) result.push({ text: `\n${"  ".repeat(stack.length * 2 + deeper)}`, kind: "space" });
  };
  for (const token of tokenize(lines)) {
    if (token.kind === "space") {
      if (result.at(-1)?.kind !== "space") result.push({ text: " ", kind: "space" });
      continue;
    }
    const word = token.kind === "keyword" ? token.text.toLowerCase() : "";
    const nested = stack.length > 0 && !stack.at(-1);
    if (token.text === ")" && stack.pop()) newline(1);
    else if (
      !nested &&
      ((CLAUSES.has(word) &&
        !(word === "set" && before === "do") &&
        before !== "delete" &&
        before !== "insert") ||
        (word === "from" && before === "delete"))
    ) {
      if (!(word === "from" && before === "delete")) newline(0);
    } else if (!nested && JOINS.has(word) && !JOINS.has(before) && before !== "outer") newline(1);
    else if (!nested && (word === "and" || word === "or") && before !== "between") newline(1);
    result.push(token);
    if (token.text === "(") stack.push(false);
    else if (word === "select" && stack.length) {
      // A query in brackets is laid out too, on lines of its own.
      if (before === "(") {
        result.pop();
        stack[stack.length - 1] = true;
        newline(0);
        result.push(token);
      }
    }
    before = word || token.text;
  }
  return result;
}
