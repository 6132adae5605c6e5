// Line icons on a grid of 16, drawn for this viewer.

const PATHS = {
  search: "M7 12.5a5.5 5.5 0 1 1 0-11 5.5 5.5 0 0 1 0 11Zm4-1.5 3.5 3.5",
  map: "M5 4.5a2 2 0 1 1-4 0 2 2 0 0 1 4 0Zm10 0a2 2 0 1 1-4 0 2 2 0 0 1 4 0Zm-5 8a2 2 0 1 1-4 0 2 2 0 0 1 4 0ZM5 4.5h6M4.2 6.2l2.6 4.6m5-4.6-2.6 4.6",
  latency: "M1.5 14.5h13M3 12V9m3.3 3V4m3.4 8V6.5M13 12v-2",
  sun: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1.1 1.1M11.9 11.9 13 13M3 13l1.1-1.1M11.9 4.1 13 3",
  moon: "M13.5 9.6A6 6 0 0 1 6.4 2.5a6 6 0 1 0 7.1 7.1Z",
  help: "M8 14.5a6.5 6.5 0 1 1 0-13 6.5 6.5 0 0 1 0 13ZM6.2 6.2c.2-2.3 3.8-2.2 3.8 0 0 1.5-2 1.6-2 3M8 11.3v.2",
  close: "m3.5 3.5 9 9m0-9-9 9",
  copy: "M5.5 5.5v-3a1 1 0 0 1 1-1h7a1 1 0 0 1 1 1v7a1 1 0 0 1-1 1h-3m-8-5h7a1 1 0 0 1 1 1v7a1 1 0 0 1-1 1h-7a1 1 0 0 1-1-1v-7a1 1 0 0 1 1-1Z",
  right: "m6 3.5 4.5 4.5L6 12.5",
  down: "m3.5 6 4.5 4.5L12.5 6",
  up: "m3.5 10 4.5-4.5 4.5 4.5",
  left: "M10 3.5 5.5 8l4.5 4.5",
  error: "M8 14.5a6.5 6.5 0 1 1 0-13 6.5 6.5 0 0 1 0 13ZM8 4.8v3.7m0 2.6v.2",
  warning: "M8 2 1.2 14h13.6L8 2Zm0 4.5v3.7m0 1.7v.2",
  upload: "M8 10.5v-8m-3 3 3-3 3 3m-9 5v2a1 1 0 0 0 1 1h10a1 1 0 0 0 1-1v-2",
  compare: "M4.5 1.5v13m0-13-3 3m3-3 3 3m4 10v-13m0 13-3-3m3 3 3-3",
  link: "M6.5 9.5a3 3 0 0 0 4.2 0l2.6-2.6a3 3 0 0 0-4.2-4.2L8 3.8M9.5 6.5a3 3 0 0 0-4.2 0L2.700 9.100a3 3 0 0 0 4.200 4.200L8 12.2",
  expand: "m4.500 6 3.500-3.500L11.500 6m-7 4 3.500 3.500 3.500-3.500",
  collapse: "m4.500 2.500 3.500 3.500 3.500-3.500m-7 11L8 10l3.500 3.500",
  path: "M1.500 3.500h5v4.500h4v4.500h4",
  database:
    "M8 6c3.300 0 5.500-.9 5.500-2.200S11.300 1.500 8 1.500s-5.500 1-5.500 2.300S4.700 6 8 6ZM2.500 3.800v8.400c0 1.300 2.200 2.300 5.500 2.300s5.500-1 5.500-2.300V3.800M2.500 8c0 1.300 2.200 2.300 5.500 2.300s5.500-1 5.500-2.300",
  zoom: "M7 12.500a5.500 5.500 0 1 1 0-11 5.500 5.500 0 0 1 0 11Zm4-1.500 3.500 3.500M4.800 7h4.400",
  trash: "M2.5 4h11M6 4V2.500h4V4M3.800 4l.7 10h7l.7-10M6.700 6.800v4.400m2.600-4.400v4.400",
  filter: "M1.500 3h13L9.500 8.800v4.700l-3-1.500V8.800L1.500 3Z",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16, label }: { name: IconName; size?: number; label?: string }) {
  return (
    <svg
      class="icon"
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      stroke-width="1.5"
      stroke-linecap="round"
      stroke-linejoin="round"
      role={label ? "img" : undefined}
      aria-label={label}
      aria-hidden={label ? undefined : "true"}
    >
      {label && <title>{label}</title>}
      <path d={PATHS[name]} />
    </svg>
  );
}
