// The one way to the gateway: the session's cookie goes along by itself, its CSRF token with every call that changes something.
import createClient, { type Middleware } from "openapi-fetch";

import { Refused, Unreachable } from "./errors";
import type { paths } from "./schema";

let csrf: string | null = null;

/** The token of the present session; null: nobody is signed in. */
export function rememberCsrf(token: string | null): void {
  csrf = token;
}

/** For calls that are not made by `api`: uploads with progress, streams. */
export function csrfHeaders(): Record<string, string> {
  return csrf === null ? {} : { "X-CSRF-Token": csrf };
}

const guard: Middleware = {
  onRequest({ request }) {
    if (request.method !== "GET")
      for (const [name, value] of Object.entries(csrfHeaders())) request.headers.set(name, value);
    return request;
  },
};

export const api = createClient<paths>({ baseUrl: window.location.origin, credentials: "same-origin" });
api.use(guard);

interface Answered<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** What was answered. Throws Refused with the gateway's own words, or Unreachable. */
export async function answered<T>(call: Promise<Answered<T>>): Promise<T> {
  let answer: Answered<T>;
  try {
    answer = await call;
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "AbortError") throw cause;
    throw new Unreachable(cause);
  }
  if (answer.response.ok) return answer.data as T;
  throw Refused.of(answer.response, answer.error);
}
