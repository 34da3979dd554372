import { Button, SimpleGrid, Skeleton, Stack, Text } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";

import { answered, api } from "../api/client";
import { Refused } from "../api/errors";
import { useNumbers } from "../i18n/numbers";
import { Facts } from "../parts/Facts";
import { Failure } from "../parts/Failure";
import { Section } from "../parts/Section";
import { StateBadge } from "../parts/StateBadge";
import { When } from "../parts/When";
import { shownLink } from "../playground/links";
import { isFinal, useCancel } from "../playground/runs";
import { AttemptTable } from "./AttemptTable";
import { OfferTable } from "./OfferTable";
import { useText } from "./texts";

/** A key's own task, with its pictures. */
export function OwnTask({ id }: { id: string }) {
  const text = useText();
  const numbers = useNumbers();
  const client = useQueryClient();
  const cancel = useCancel();
  const task = useQuery({
    queryKey: ["own-task", id],
    queryFn: () => answered(api.GET("/v1/tasks/{task_id}", { params: { path: { task_id: id } } })),
    refetchInterval: (query) => (query.state.data !== undefined && isFinal(query.state.data) ? false : 1500),
  });
  if (task.error !== null && task.data === undefined)
    return <Failure error={task.error} retry={() => void task.refetch()} />;
  if (task.data === undefined) return <Skeleton h={360} />;
  const { usage, task_info, results } = task.data;
  return (
    <Stack>
      <Section
        title={text.request}
        actions={
          <>
            <StateBadge state={task.data.status} />
            {!isFinal(task.data) && (
              <Button
                size="xs"
                variant="default"
                disabled={!task_info.can_cancel || task_info.cancel_requested === true}
                loading={cancel.isPending}
                onClick={() =>
                  cancel.mutate(id, { onSettled: () => client.invalidateQueries({ queryKey: ["own-task", id] }) })
                }
              >
                {text.cancel}
              </Button>
            )}
          </>
        }
      >
        <Stack>
          <Facts
            facts={[
              [text.model, task.data.model],
              [text.made, <When key="made" ms={task.data.created * 1000} />],
              [text.held, text.credits(numbers.number(usage.credits_reserved))],
              [text.charged, usage.credits_used == null ? "–" : text.credits(numbers.number(usage.credits_used))],
            ]}
          />
          {cancel.error !== null && <Failure error={cancel.error} />}
          {task.data.error != null && (
            <Failure error={new Refused(0, task.data.error.code, task.data.error.message, null, null, null)} />
          )}
        </Stack>
      </Section>
      <Section title={text.results}>
        {(results ?? []).length === 0 ? (
          <Text size="sm" c="dimmed">
            {text.noResults}
          </Text>
        ) : (
          <SimpleGrid cols={{ base: 1, sm: 2, md: 3 }}>
            {(results ?? []).map((link, index) => (
              <img key={link} src={shownLink(link)} alt={text.image(index + 1)} width="100%" />
            ))}
          </SimpleGrid>
        )}
      </Section>
      <Section title={text.plan} what={text.planWhat}>
        <OfferTable offers={task.data.routing.offers} />
      </Section>
      <Section title={text.attempts}>
        {task.data.routing.attempts.length === 0 ? (
          <Text size="sm" c="dimmed">
            {text.noAttempts}
          </Text>
        ) : (
          <AttemptTable attempts={task.data.routing.attempts} />
        )}
      </Section>
    </Stack>
  );
}
