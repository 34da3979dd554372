// Calls of the playground and what becomes of them. A call is a task at the gateway: it goes on when this page is closed.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";

import { answered, api, csrfHeaders } from "../api/client";
import { Refused, Unreachable } from "../api/errors";
import type { components } from "../api/schema";
import type { CallBody } from "./draft";
import { eventsOf } from "./events";
import { rememberPrompt } from "./prompts";

export type Task = components["schemas"]["TaskAnswer"];

export const HISTORY = 20;
const FINAL = ["completed", "failed", "cancelled"];
const PARTIAL_IMAGES = 2;

export function isFinal(task: { status: string }): boolean {
  return FINAL.includes(task.status);
}

export interface Partial {
  task: string;
  index: number;
  url: string;
}

/** The newest tasks of this key, whole: with links, attempts and errors. */
export function useHistory() {
  return useQuery({
    queryKey: ["history"],
    queryFn: async () => {
      const { data } = await answered(api.GET("/v1/tasks", { params: { query: { page: 1, page_size: HISTORY } } }));
      if (data.length === 0) return [];
      const found = await answered(api.POST("/v1/tasks/batch", { body: { task_ids: data.map((task) => task.id) } }));
      const byId = new Map(found.data.map((task) => [task.id, task]));
      return data.map((item) => byId.get(item.id)).filter((task) => task !== undefined);
    },
    refetchInterval: (query) => (query.state.data?.some((task) => !isFinal(task)) === true ? 1500 : 30_000),
  });
}

export function useCancel() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => answered(api.POST("/v1/tasks/{task_id}/cancel", { params: { path: { task_id: id } } })),
    onSettled: () => client.invalidateQueries({ queryKey: ["history"] }),
  });
}

/** Starts calls. `partial` is the newest picture of the streamed call that runs. */
export function useRun(keyId: string) {
  const client = useQueryClient();
  const [partial, setPartial] = useState<Partial | null>(null);
  const shown = useRef<string | null>(null);

  const show = useCallback((next: Partial | null) => {
    if (shown.current !== null) URL.revokeObjectURL(shown.current);
    shown.current = next?.url ?? null;
    setPartial(next);
  }, []);
  useEffect(() => () => show(null), [show]);

  const start = useMutation({
    mutationFn: async ({ body, streamed }: { body: CallBody; streamed: boolean }) => {
      const response = await send(body, streamed);
      const id = response.headers.get("X-Task-Id") ?? ((await response.clone().json()) as { id: string }).id;
      rememberPrompt(keyId, id, body.prompt);
      await client.invalidateQueries({ queryKey: ["history"] });
      if (streamed && response.body !== null) {
        void follow(id, response.body, show).finally(() => client.invalidateQueries({ queryKey: ["history"] }));
      }
      return id;
    },
  });
  return { start, partial };
}

async function send(body: CallBody, streamed: boolean): Promise<Response> {
  let response: Response;
  try {
    response = await fetch("/v1/images/generations", {
      method: "POST",
      credentials: "same-origin",
      headers: {
        "Content-Type": "application/json",
        ...(streamed ? {} : { Prefer: "respond-async" }),
        // Pressed twice, it is two wishes.
        "Idempotency-Key": crypto.randomUUID(),
        ...csrfHeaders(),
      },
      body: JSON.stringify(streamed ? { ...body, stream: true, partial_images: PARTIAL_IMAGES } : body),
    });
  } catch (cause) {
    throw new Unreachable(cause);
  }
  if (response.ok) return response;
  throw Refused.of(response, await response.json().catch(() => undefined));
}

/** A stream that breaks is no matter: the task goes on, and its end is read from the history. */
async function follow(
  task: string,
  body: ReadableStream<Uint8Array>,
  show: (partial: Partial | null) => void,
): Promise<void> {
  try {
    for await (const event of eventsOf(body)) {
      if (!event.name.endsWith(".partial_image")) continue;
      const { b64_json, partial_image_index, output_format } = JSON.parse(event.data) as {
        b64_json: string;
        partial_image_index: number;
        output_format?: string;
      };
      const bytes = Uint8Array.from(atob(b64_json), (letter) => letter.charCodeAt(0));
      const url = URL.createObjectURL(new Blob([bytes], { type: `image/${output_format ?? "png"}` }));
      show({ task, index: partial_image_index, url });
    }
  } catch {
    // See above.
  }
  show(null);
}
