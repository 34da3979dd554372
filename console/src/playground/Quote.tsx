import { Alert, Group, Paper, Stack, Text } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useQuery } from "@tanstack/react-query";

import { answered, api } from "../api/client";
import { useNumbers } from "../i18n/numbers";
import type { CallBody } from "./draft";
import { useText } from "./texts";

/** What the call would hold and who would make it, at this moment. */
export function Quote({ body }: { body: CallBody }) {
  const text = useText();
  const numbers = useNumbers();
  const [asked] = useDebouncedValue(JSON.stringify(body), 400);
  const ready = body.prompt.trim() !== "" && (JSON.parse(asked) as CallBody).prompt.trim() !== "";
  const { data, error, isPlaceholderData } = useQuery({
    queryKey: ["quote", asked],
    queryFn: ({ signal }) => answered(api.POST("/v1/images/quote", { body: JSON.parse(asked) as CallBody, signal })),
    enabled: ready,
    retry: false,
    placeholderData: keepPreviousData,
    staleTime: 10_000,
    gcTime: 30_000,
  });
  if (!ready) {
    return (
      <Text size="sm" c="dimmed">
        {text.quoteWaits}
      </Text>
    );
  }
  const refusal = error ?? data?.error ?? null;
  const tried = data?.offers.filter((offer) => offer.skipped === null) ?? [];
  return (
    <Paper withBorder p="sm" radius="md" aria-live="polite" data-testid="quote" opacity={isPlaceholderData ? 0.6 : 1}>
      <Stack gap={4}>
        <Text size="sm" fw={500}>
          {text.costs}
        </Text>
        {refusal !== null && (
          <Alert color="orange" title={text.refused} p="xs">
            <Text size="sm" className="verbatim">
              {refusal.message}
            </Text>
          </Alert>
        )}
        {error === null && data?.hold != null && (
          <Text size="sm" className="figures">
            {text.holds(numbers.number(data.hold.credits), numbers.usd(data.hold.usd))}
          </Text>
        )}
        {error === null && (
          <Group gap="sm">
            {tried[0] !== undefined && (
              <Text size="xs" c="dimmed" className="verbatim">
                {text.upstream(tried[0].upstream)}
              </Text>
            )}
            {tried.length > 1 && (
              <Text size="xs" c="dimmed">
                {text.others(tried.length - 1)}
              </Text>
            )}
            {data?.budget_left != null && (
              <Text size="xs" c="dimmed" className="figures">
                {text.left(numbers.number(data.budget_left.credits))}
              </Text>
            )}
          </Group>
        )}
      </Stack>
    </Paper>
  );
}
