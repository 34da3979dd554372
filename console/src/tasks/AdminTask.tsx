import { Anchor, Badge, Button, Group, Skeleton, Stack, Table, Text } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";

import { answered, api } from "../api/client";
import { Refused } from "../api/errors";
import type { components } from "../api/schema";
import { mayDo, useSignedIn } from "../api/session";
import { useNumbers } from "../i18n/numbers";
import { accountName } from "../parts/accountName";
import { Facts } from "../parts/Facts";
import { Failure } from "../parts/Failure";
import { useNotice } from "../parts/notices";
import { Section } from "../parts/Section";
import { StateBadge } from "../parts/StateBadge";
import { When } from "../parts/When";
import { AttemptTable } from "./AttemptTable";
import { OfferTable } from "./OfferTable";
import { useText } from "./texts";

type Task = components["schemas"]["AdminTaskAnswer"];

/** Ended, and its callback delivered or given up: what still changes is left to the slow look. */
function isSettled(task: Task | undefined): boolean {
  return task?.finished_at_ms != null && task.callback?.state !== "due";
}

/** All that is known of a task: request, plan, attempts, money, callback, results. */
export function AdminTask({ id }: { id: string }) {
  const [prompt, setPrompt] = useState(false);
  const task = useQuery({
    queryKey: ["task", id, prompt],
    queryFn: () =>
      answered(
        api.GET("/admin/v1/tasks/{task_id}", {
          params: { path: { task_id: id }, query: prompt ? { prompt: "true" } : {} },
        }),
      ),
    placeholderData: (before) => before,
    refetchInterval: (query) => (isSettled(query.state.data) ? 10_000 : 1500),
  });
  if (task.error !== null && task.data === undefined)
    return <Failure error={task.error} retry={() => void task.refetch()} />;
  if (task.data === undefined) return <Skeleton h={360} />;
  return (
    <Stack>
      <Request task={task.data} shown={prompt} onShow={() => setPrompt(true)} />
      <Plan task={task.data} />
      <Attempts task={task.data} />
      <Money task={task.data} />
      <Callback task={task.data} />
      <Results task={task.data} />
    </Stack>
  );
}

function Request({ task, shown, onShow }: { task: Task; shown: boolean; onShow: () => void }) {
  const text = useText();
  const numbers = useNumbers();
  const { request } = task;
  const took = task.finished_at_ms === null ? "–" : numbers.duration(task.finished_at_ms - task.created_at_ms);
  return (
    <Section title={text.request} actions={<StateBadge state={task.state} />}>
      <Stack>
        <Facts
          facts={[
            [text.account, accountName(task.account)],
            [text.model, task.model],
            [text.size, request.size ?? "–"],
            [text.quality, request.quality ?? "–"],
            [text.images, numbers.number(task.n)],
            [text.references, request.images === 0 ? "–" : `${request.images}${request.mask ? ` (${text.mask})` : ""}`],
            [text.contract, task.contract],
            [text.made, <When key="made" ms={task.created_at_ms} />],
            [text.took, took],
            [text.charged, `${text.credits(numbers.number(task.charged.credits))} (${numbers.usd(task.charged.usd)})`],
          ]}
        />
        <div>
          <Text size="xs" c="dimmed">
            {text.prompt}
          </Text>
          {task.prompt !== null ? (
            <Text size="sm" className="verbatim" data-testid="prompt">
              {task.prompt}
            </Text>
          ) : shown ? (
            <Text size="sm" c="dimmed">
              {text.promptGone}
            </Text>
          ) : (
            <Group gap="xs">
              <Button size="xs" variant="default" onClick={onShow}>
                {text.showPrompt}
              </Button>
              <Text size="xs" c="dimmed">
                {text.promptHere}
              </Text>
            </Group>
          )}
        </div>
        {task.error !== null && (
          <Failure error={new Refused(0, task.error.code, task.error.message, null, null, null)} />
        )}
      </Stack>
    </Section>
  );
}

function Plan({ task }: { task: Task }) {
  const text = useText();
  if (task.plan === null) return null;
  return (
    <Section title={text.plan} what={text.planWhat}>
      <OfferTable offers={task.plan.considered} />
    </Section>
  );
}

function Attempts({ task }: { task: Task }) {
  const text = useText();
  return (
    <Section title={text.attempts}>
      {task.attempts.length === 0 ? (
        <Text size="sm" c="dimmed">
          {task.source === null ? text.noAttempts : `${text.fromCache} `}
          {task.source !== null && (
            <Anchor component={Link} href={`/tasks/${task.source}`} ff="monospace" size="sm">
              {task.source}
            </Anchor>
          )}
        </Text>
      ) : (
        <AttemptTable attempts={task.attempts} />
      )}
    </Section>
  );
}

function Money({ task }: { task: Task }) {
  const text = useText();
  const numbers = useNumbers();
  const { hold } = task;
  if (hold === null && task.entries.length === 0) return null;
  return (
    <Section title={text.money}>
      <Stack>
        {hold !== null && (
          <Facts
            facts={[
              [text.state, text.holdState[hold.state as keyof typeof text.holdState] ?? hold.state],
              [text.held, `${text.credits(numbers.number(hold.held.credits))} (${numbers.usd(hold.held.usd)})`],
              [
                text.settled,
                `${text.credits(numbers.number(hold.settled.credits))} (${numbers.usd(hold.settled.usd)})`,
              ],
            ]}
          />
        )}
        <Table.ScrollContainer minWidth={640}>
          <Table className="figures" aria-label={text.money}>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{text.entry}</Table.Th>
                <Table.Th>{text.account}</Table.Th>
                <Table.Th ta="right">{text.pending}</Table.Th>
                <Table.Th ta="right">{text.posted}</Table.Th>
                <Table.Th>{text.at}</Table.Th>
                <Table.Th>{text.note}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {task.entries.map((entry) => (
                <Table.Tr key={entry.id}>
                  <Table.Td>{entry.kind}</Table.Td>
                  <Table.Td className="verbatim">{entry.account}</Table.Td>
                  <Table.Td ta="right">{numbers.usd(entry.pending.usd)}</Table.Td>
                  <Table.Td ta="right">{numbers.usd(entry.posted.usd)}</Table.Td>
                  <Table.Td>{numbers.clock(entry.at_ms)}</Table.Td>
                  <Table.Td className="verbatim">{entry.note}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
        {!task.entries_whole && (
          <Text size="xs" c="dimmed">
            {text.notWhole}
          </Text>
        )}
      </Stack>
    </Section>
  );
}

const CALLBACK_COLORS = { due: "blue", sent: "teal", dead: "red" } as const;

function Callback({ task }: { task: Task }) {
  const text = useText();
  const numbers = useNumbers();
  const session = useSignedIn();
  const client = useQueryClient();
  const notice = useNotice();
  const id = task.callback?.id ?? "";
  const callback = useQuery({
    queryKey: ["callback", id, task.callback?.tries, task.callback?.state],
    queryFn: () => answered(api.GET("/admin/v1/callbacks/{callback_id}", { params: { path: { callback_id: id } } })),
    enabled: id !== "",
  });
  const resend = useMutation({
    mutationFn: () =>
      answered(api.POST("/admin/v1/callbacks/{callback_id}/resend", { params: { path: { callback_id: id } } })),
    onSuccess: () => {
      notice(text.resent);
      void client.invalidateQueries({ queryKey: ["task", task.id] });
    },
  });
  if (task.callback === null) {
    return (
      <Section title={text.callback}>
        <Text size="sm" c="dimmed">
          {text.noCallback}
        </Text>
      </Section>
    );
  }
  const { state, url, tries } = task.callback;
  return (
    <Section
      title={text.callback}
      actions={
        mayDo(session, "keys") && (
          <Button
            size="xs"
            variant="default"
            onClick={() => resend.mutate()}
            loading={resend.isPending}
            disabled={state === "due"}
          >
            {text.resend}
          </Button>
        )
      }
    >
      <Stack>
        <Group gap="xs">
          <Badge color={CALLBACK_COLORS[state]} variant="light" data-testid="callback-state">
            {text.callbackState[state]}
          </Badge>
          <Text size="sm" c="dimmed" className="figures">
            {text.tries(numbers.number(tries))}
          </Text>
          <Text size="sm" className="verbatim">
            {url}
          </Text>
        </Group>
        {resend.error !== null && <Failure error={resend.error} />}
        {callback.error !== null && <Failure error={callback.error} />}
        {(callback.data?.attempts.length ?? 0) > 0 && (
          <Table.ScrollContainer minWidth={480}>
            <Table className="figures" aria-label={text.callback}>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{text.at}</Table.Th>
                  <Table.Th>{text.answer}</Table.Th>
                  <Table.Th ta="right">{text.time}</Table.Th>
                  <Table.Th>{text.message}</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {callback.data?.attempts.map((attempt) => (
                  <Table.Tr key={attempt.at_ms}>
                    <Table.Td>{numbers.moment(attempt.at_ms)}</Table.Td>
                    <Table.Td>{attempt.status ?? "–"}</Table.Td>
                    <Table.Td ta="right">{numbers.duration(attempt.ms)}</Table.Td>
                    <Table.Td className="verbatim">{attempt.answer}</Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        )}
      </Stack>
    </Section>
  );
}

function Results({ task }: { task: Task }) {
  const text = useText();
  const numbers = useNumbers();
  return (
    <Section title={text.results} what={task.results.length > 0 ? text.resultsTheirs : undefined}>
      {task.results.length === 0 ? (
        <Text size="sm" c="dimmed">
          {task.erased_at_ms === null ? text.noResults : text.erased}
        </Text>
      ) : (
        <Stack gap={4}>
          {task.results.map((result, index) => (
            <Text key={`${index}${result.sha256}`} size="sm" className="figures verbatim">
              {text.image(index + 1)}: {result.width}×{result.height} · {result.content_type} ·{" "}
              {numbers.bytes(result.size_bytes)} · sha256 {result.sha256}
            </Text>
          ))}
        </Stack>
      )}
    </Section>
  );
}
