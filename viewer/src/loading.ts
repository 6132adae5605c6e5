// A request that belongs to a component: restarted when its key changes, aborted when the component goes.

import { useEffect, useState } from "preact/hooks";

export interface Loading<T> {
  data: T | undefined;
  error: Error | undefined;
  /** A request is under way; `data` may still be the answer before. */
  busy: boolean;
  again: () => void;
}

export function useLoading<T>(key: string, load: (signal: AbortSignal) => Promise<T>): Loading<T> {
  const [state, setState] = useState<Omit<Loading<T>, "again">>({
    data: undefined,
    error: undefined,
    busy: true,
  });
  const [tries, setTries] = useState(0);
  useEffect(() => {
    const controller = new AbortController();
    setState((before) => ({ ...before, busy: true }));
    load(controller.signal).then(
      (data) => !controller.signal.aborted && setState({ data, error: undefined, busy: false }),
      (error: unknown) => {
        if (controller.signal.aborted) return;
        setState({
          data: undefined,
          error: error instanceof Error ? error : new Error(String(error)),
          busy: false,
        });
      },
    );
    return () => controller.abort();
  }, [key, tries]);
  return { ...state, again: () => setTries((before) => before + 1) };
}
