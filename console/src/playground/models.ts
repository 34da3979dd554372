import { useQuery } from "@tanstack/react-query";

import { answered, api } from "../api/client";
import type { components } from "../api/schema";

export type ModelCard = components["schemas"]["ModelCardAnswer"];
export type ModelCards = components["schemas"]["ModelCardListAnswer"];

/** The models that the session's key may use, with their limits. */
export function useModels(enabled: boolean) {
  return useQuery({
    queryKey: ["models"],
    queryFn: () => answered(api.GET("/console/api/models")),
    enabled,
    staleTime: 60_000,
  });
}
