import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { answered, api, rememberCsrf } from "./client";
import { Refused } from "./errors";
import type { components } from "./schema";

export type Session = components["schemas"]["SessionAnswer"];

const SESSION = ["session"] as const;

async function kept(call: Promise<Session>): Promise<Session> {
  const session = await call;
  rememberCsrf(session.csrf);
  return session;
}

/** Who is signed in here; asked again each minute, since a session may be ended from elsewhere. */
export function useSession() {
  return useQuery({
    queryKey: SESSION,
    queryFn: () => kept(answered(api.GET("/console/api/session"))),
    refetchInterval: 60_000,
    staleTime: 30_000,
  });
}

/** The session of a page behind the sign-in. */
export function useSignedIn(): Session {
  const { data } = useSession();
  if (data === undefined) throw new Error("the session is not read yet");
  return data;
}

export function useSignIn() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (secret: string) => kept(answered(api.POST("/console/api/session", { body: { secret } }))),
    onSuccess: (session) => {
      client.setQueryData(SESSION, session);
      void client.invalidateQueries({ predicate: (query) => query.queryKey[0] !== SESSION[0] });
    },
  });
}

/** Ends one half of the session, or all of it, on the server. */
export function useSignOut() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: async (part: "key" | "administrator" | null) => {
      await answered(api.DELETE("/console/api/session", { params: { query: part === null ? {} : { part } } }));
      return kept(answered(api.GET("/console/api/session")));
    },
    onSuccess: (session) => {
      client.removeQueries({ predicate: (query) => query.queryKey[0] !== SESSION[0] });
      client.setQueryData(SESSION, session);
    },
  });
}

/** Whether the session is over, by the error of some call. */
export function isSignedOut(error: unknown): boolean {
  return error instanceof Refused && error.status === 401;
}

export function mayDo(session: Session, scope: "read" | "keys" | "money"): boolean {
  return session.administrator?.scopes.includes(scope) ?? false;
}
