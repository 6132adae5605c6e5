// A table whose columns sort when their head is clicked.

import type { ComponentChildren } from "preact";

import { Icon } from "./icons";

export interface Column<Row> {
  id: string;
  title: string;
  /** What it sorts by; numbers descend first. */
  by: (row: Row) => number | string;
  show: (row: Row) => ComponentChildren;
  number?: boolean;
}

export interface Order {
  column: string;
  descending: boolean;
}

/** From and to a URL: "self" ascends, "-self" descends. */
export const parseOrder = (text: string): Order => ({
  column: text.replace(/^-/, ""),
  descending: text.startsWith("-"),
});

function sorted<Row>(rows: Row[], columns: Column<Row>[], order: Order): Row[] {
  const column = columns.find((one) => one.id === order.column);
  if (!column) return rows;
  const sign = order.descending ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [column.by(a), column.by(b)];
    return (
      sign * (typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y)))
    );
  });
}

export function Sortable<Row>(props: {
  columns: Column<Row>[];
  rows: Row[];
  order: Order;
  onOrder: (text: string) => void;
  rowKey: (row: Row) => string;
  onRow?: (row: Row) => void;
  label: string;
}) {
  const { columns, rows, order } = props;
  return (
    <table class="table" aria-label={props.label}>
      <thead>
        <tr>
          {columns.map((column) => {
            const chosen = column.id === order.column;
            const flips = chosen ? !order.descending : Boolean(column.number);
            return (
              <th
                key={column.id}
                class={column.number ? "number" : ""}
                aria-sort={chosen ? (order.descending ? "descending" : "ascending") : "none"}
              >
                <button type="button" onClick={() => props.onOrder(`${flips ? "-" : ""}${column.id}`)}>
                  {column.title}
                  {chosen && <Icon name={order.descending ? "down" : "up"} size={10} />}
                </button>
              </th>
            );
          })}
        </tr>
      </thead>
      <tbody>
        {sorted(rows, columns, order).map((row) => (
          <tr
            key={props.rowKey(row)}
            class={props.onRow ? "clickable" : ""}
            onClick={() => props.onRow?.(row)}
          >
            {columns.map((column) => (
              <td key={column.id} class={column.number ? "number" : ""}>
                {column.show(row)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
