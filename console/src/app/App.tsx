import { MantineProvider } from "@mantine/core";
import { QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { setNonce } from "get-nonce";
import { useState } from "react";
import { Router } from "wouter";

import { isSignedOut } from "../api/session";
import { Refused } from "../api/errors";
import { LanguageProvider } from "../i18n/language";
import { Notices } from "../parts/notices";
import { Gate } from "./Gate";
import { theme, variables } from "./theme";

const nonce = document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content ?? "";
// For the style by which an open window keeps the page behind it still.
setNonce(nonce);

/** Refusals are final; only a silent or overloaded gateway is asked again. */
function again(failures: number, error: Error): boolean {
  return failures < 2 && !(error instanceof Refused && error.status < 500 && error.status !== 429);
}

function newClient(): QueryClient {
  const client: QueryClient = new QueryClient({
    queryCache: new QueryCache({
      onError: (error, query) => {
        if (isSignedOut(error) && query.queryKey[0] !== "session")
          void client.invalidateQueries({ queryKey: ["session"] });
      },
    }),
    defaultOptions: { queries: { retry: again, staleTime: 5000 }, mutations: { retry: false } },
  });
  return client;
}

export function App() {
  const [client] = useState(newClient);
  return (
    <MantineProvider
      theme={theme}
      cssVariablesResolver={variables}
      defaultColorScheme="auto"
      getStyleNonce={() => nonce}
    >
      <QueryClientProvider client={client}>
        <LanguageProvider>
          <Notices>
            <Router base="/console">
              <Gate />
            </Router>
          </Notices>
        </LanguageProvider>
      </QueryClientProvider>
    </MantineProvider>
  );
}
