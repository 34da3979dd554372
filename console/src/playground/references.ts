// The reference pictures of a draft: looked at before they are sent, uploaded once, in the caller's order.
import { useCallback, useEffect, useRef, useState } from "react";

import { upload } from "./upload";

export const TAKEN = ["image/jpeg", "image/png", "image/webp"] as const;

export interface Reference {
  key: number;
  name: string;
  /** What is shown: an object URL of a local file, or a link of this gateway; empty where only the gateway may fetch it. */
  preview: string;
  /** A file id or URL for the call; null while it is uploaded, or where that failed. */
  value: string | null;
  /** The uploaded share, 0 to 1. */
  sent: number;
  error: Error | null;
  bytes: number | null;
}

export interface Limits {
  count: number;
  bytes: number;
}

export type Complaint = { kind: "type" | "size" | "count"; name: string };

/** Which files may be added, and why the others may not: told before anything is sent. */
export function sorted(files: readonly File[], there: number, limits: Limits): { good: File[]; bad: Complaint[] } {
  const good: File[] = [];
  const bad: Complaint[] = [];
  for (const file of files) {
    if (!TAKEN.some((type) => type === file.type)) bad.push({ kind: "type", name: file.name });
    else if (file.size > limits.bytes) bad.push({ kind: "size", name: file.name });
    else if (there + good.length >= limits.count) bad.push({ kind: "count", name: file.name });
    else good.push(file);
  }
  return { good, bad };
}

export function useReferences() {
  const [references, setReferences] = useState<Reference[]>([]);
  const next = useRef(1);
  const running = useRef(new Map<number, AbortController>());

  const patch = useCallback(
    (key: number, part: Partial<Reference>) =>
      setReferences((all) => all.map((reference) => (reference.key === key ? { ...reference, ...part } : reference))),
    [],
  );

  useEffect(() => {
    const uploads = running.current;
    return () => uploads.forEach((controller) => controller.abort());
  }, []);

  const addFile = useCallback(
    (file: Blob, name: string) => {
      const key = next.current++;
      const controller = new AbortController();
      running.current.set(key, controller);
      const preview = URL.createObjectURL(file);
      setReferences((all) => [...all, { key, name, preview, value: null, sent: 0, error: null, bytes: file.size }]);
      upload(file, name, (sent) => patch(key, { sent }), controller.signal)
        .then((value) => patch(key, { value, sent: 1 }))
        .catch((error: unknown) => {
          if (!controller.signal.aborted)
            patch(key, { error: error instanceof Error ? error : new Error(String(error)) });
        })
        .finally(() => running.current.delete(key));
    },
    [patch],
  );

  /** `preview`: a link of this gateway, where it is one of its own pictures. */
  const addUrl = useCallback((url: string, preview = "") => {
    const key = next.current++;
    setReferences((all) => [...all, { key, name: url, preview, value: url, sent: 1, error: null, bytes: null }]);
  }, []);

  const remove = useCallback((key: number) => {
    running.current.get(key)?.abort();
    setReferences((all) =>
      all.filter((reference) => {
        if (reference.key === key && reference.preview.startsWith("blob:")) URL.revokeObjectURL(reference.preview);
        return reference.key !== key;
      }),
    );
  }, []);

  const move = useCallback((key: number, by: -1 | 1) => {
    setReferences((all) => {
      const from = all.findIndex((reference) => reference.key === key);
      const to = from + by;
      const [one, other] = [all[from], all[to]];
      if (one === undefined || other === undefined) return all;
      const moved = [...all];
      moved[from] = other;
      moved[to] = one;
      return moved;
    });
  }, []);

  return {
    references,
    addFile,
    addUrl,
    remove,
    move,
    uploading: references.some((each) => each.value === null && each.error === null),
  };
}

/** Picture files of a paste or drop. */
export function filesOf(data: DataTransfer | null): File[] {
  return data === null ? [] : [...data.files].filter((file) => file.type.startsWith("image/"));
}
