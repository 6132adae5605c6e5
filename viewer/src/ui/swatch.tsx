import { hue } from "../service-color";

export const tint = (of: number): Record<string, string> => ({ "--hue": String(of) });

export function Swatch({ service, of }: { service: string; of?: number }) {
  return <span class="swatch" style={tint(of ?? hue(service))} aria-hidden="true" />;
}
