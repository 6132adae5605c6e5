// Panning and zooming: wheel or pinch to zoom at the pointer, drag to move.

import { useEffect, useRef, useState } from "preact/hooks";

export interface Camera {
  x: number;
  y: number;
  scale: number;
}

const LEAST = 0.08;
const MOST = 2.5;
/** What a picture is shown at first no smaller than. */
const READABLE = 0.5;

/** All of a picture; of one too large to read, the part around `entry`. */
export function useCamera(width: number, height: number, entry: { x: number; y: number } | undefined) {
  const frame = useRef<HTMLDivElement>(null);
  const [camera, setCamera] = useState<Camera>({ x: 0, y: 0, scale: 1 });
  const moved = useRef(false);
  const touched = useRef(false);

  const fit = () => {
    const box = frame.current;
    if (!box || !width || !height) return;
    const scale = Math.min(
      1.15,
      Math.max(LEAST, Math.min(box.clientWidth / width, box.clientHeight / height)),
    );
    setCamera({
      scale,
      x: (box.clientWidth - width * scale) / 2,
      y: (box.clientHeight - height * scale) / 2,
    });
  };
  const start = () => {
    const box = frame.current;
    if (!box) return;
    if (!entry || Math.min(box.clientWidth / width, box.clientHeight / height) >= READABLE) return fit();
    const place = (room: number, size: number, wanted: number) =>
      Math.min(24, Math.max(room - size * READABLE - 24, wanted));
    setCamera({
      scale: READABLE,
      x: place(box.clientWidth, width, box.clientWidth * 0.2 - entry.x * READABLE),
      y: place(box.clientHeight, height, box.clientHeight / 2 - entry.y * READABLE),
    });
  };
  const zoom = (factor: number, atX?: number, atY?: number) =>
    setCamera((before) => {
      const box = frame.current;
      const [x, y] = [atX ?? (box?.clientWidth ?? 0) / 2, atY ?? (box?.clientHeight ?? 0) / 2];
      const scale = Math.min(MOST, Math.max(LEAST, before.scale * factor));
      touched.current = true;
      return {
        scale,
        x: x - ((x - before.x) * scale) / before.scale,
        y: y - ((y - before.y) * scale) / before.scale,
      };
    });
  const centre = (x: number, y: number) => {
    const box = frame.current;
    if (!box) return;
    touched.current = true;
    setCamera((before) => {
      const scale = Math.max(0.8, before.scale);
      return { scale, x: box.clientWidth / 2 - x * scale, y: box.clientHeight / 2 - y * scale };
    });
  };

  useEffect(() => {
    touched.current = false;
    start();
    const box = frame.current;
    if (!box) return;
    const observer = new ResizeObserver(() => !touched.current && start());
    observer.observe(box);
    const onWheel = (event: WheelEvent) => {
      event.preventDefault();
      const { left, top } = box.getBoundingClientRect();
      zoom(
        Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)),
        event.clientX - left,
        event.clientY - top,
      );
    };
    box.addEventListener("wheel", onWheel, { passive: false });
    return () => {
      observer.disconnect();
      box.removeEventListener("wheel", onWheel);
    };
  }, [width, height]);

  const fingers = useRef(new Map<number, { x: number; y: number }>());
  const handlers = {
    onPointerDown: (event: PointerEvent) => {
      fingers.current.set(event.pointerId, { x: event.clientX, y: event.clientY });
      moved.current = false;
    },
    onPointerMove: (event: PointerEvent) => {
      const before = fingers.current.get(event.pointerId);
      if (!before) return;
      const [dx, dy] = [event.clientX - before.x, event.clientY - before.y];
      if (!moved.current && Math.hypot(dx, dy) < 4) return;
      // Captured only once it is a drag: a captured pointer would take the click from the node below it.
      if (!moved.current) (event.currentTarget as Element).setPointerCapture(event.pointerId);
      moved.current = true;
      const other = [...fingers.current].find(([id]) => id !== event.pointerId)?.[1];
      fingers.current.set(event.pointerId, { x: event.clientX, y: event.clientY });
      const box = frame.current?.getBoundingClientRect();
      if (other && box) {
        const factor =
          Math.hypot(event.clientX - other.x, event.clientY - other.y) /
          Math.max(1, Math.hypot(before.x - other.x, before.y - other.y));
        return zoom(
          factor,
          (event.clientX + other.x) / 2 - box.left,
          (event.clientY + other.y) / 2 - box.top,
        );
      }
      touched.current = true;
      setCamera((now) => ({ ...now, x: now.x + dx, y: now.y + dy }));
    },
    onPointerUp: (event: PointerEvent) => void fingers.current.delete(event.pointerId),
    onPointerCancel: (event: PointerEvent) => void fingers.current.delete(event.pointerId),
    onPointerLeave: (event: PointerEvent) => void fingers.current.delete(event.pointerId),
  };
  return { frame, camera, fit, zoom, centre, handlers, wasDrag: () => moved.current };
}
