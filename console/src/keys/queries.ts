import { useInfiniteQuery, useQuery } from "@tanstack/react-query";

import { answered, api } from "../api/client";
import type { components } from "../api/schema";

export type Account = components["schemas"]["AccountAnswer"];
export type Key = components["schemas"]["KeyAnswer"];

const ACCOUNTS_MAX = 1000;
const KEYS_PAGE = 100;

/** Organisations and teams, the organisations first. */
export function useAccounts() {
  return useQuery({
    queryKey: ["accounts", "tree"],
    queryFn: async () => {
      const [orgs, teams] = await Promise.all(
        (["org", "team"] as const).map((kind) =>
          answered(api.GET("/admin/v1/accounts", { params: { query: { kind, limit: ACCOUNTS_MAX } } })),
        ),
      );
      return { orgs: orgs?.data ?? [], teams: teams?.data ?? [] };
    },
    refetchInterval: 15_000,
  });
}

export function useAccount(id: string) {
  return useQuery({
    queryKey: ["account", id],
    queryFn: () => answered(api.GET("/admin/v1/accounts/{account}", { params: { path: { account: id } } })),
    refetchInterval: 10_000,
  });
}

export interface KeyFilters {
  org: string;
  team: string;
  state: Key["state"] | null;
}

export function useKeys(filters: KeyFilters) {
  const query = {
    limit: KEYS_PAGE,
    ...(filters.org === "" ? {} : { org: filters.org }),
    ...(filters.team === "" ? {} : { team: filters.team }),
    ...(filters.state === null ? {} : { state: filters.state }),
  };
  return useInfiniteQuery({
    queryKey: ["keys", query],
    queryFn: ({ pageParam }) =>
      answered(
        api.GET("/admin/v1/keys", {
          params: { query: { ...query, ...(pageParam === "" ? {} : { after: pageParam }) } },
        }),
      ),
    initialPageParam: "",
    getNextPageParam: (page) => (page.has_more ? page.data.at(-1)?.id : undefined),
  });
}

export function useKey(id: string) {
  return useQuery({
    queryKey: ["key", id],
    queryFn: () => answered(api.GET("/admin/v1/keys/{key_id}", { params: { path: { key_id: id } } })),
  });
}
