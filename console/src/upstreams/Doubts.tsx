import { Anchor, Button, Group, NumberInput, Radio, Skeleton, Stack, Table, Text, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";

import { answered, api } from "../api/client";
import type { components } from "../api/schema";
import { mayDo, useSignedIn } from "../api/session";
import { useNumbers } from "../i18n/numbers";
import { Empty } from "../parts/Empty";
import { Failure } from "../parts/Failure";
import { useNotice } from "../parts/notices";
import { Section } from "../parts/Section";
import { When } from "../parts/When";
import { Window } from "../parts/Window";
import { useText } from "./texts";

type Doubt = components["schemas"]["DoubtAnswer"];

/** Tries of which nobody knows whether they were billed, oldest first. */
export function Doubts() {
  const text = useText();
  const numbers = useNumbers();
  const session = useSignedIn();
  const [chosen, setChosen] = useState<Doubt | null>(null);
  const doubts = useQuery({
    queryKey: ["in-doubt"],
    queryFn: () => answered(api.GET("/admin/v1/in-doubt", { params: { query: { limit: 100 } } })),
    refetchInterval: 10_000,
  });
  return (
    <Section title={text.doubts} what={text.doubtsWhat}>
      {doubts.error !== null && <Failure error={doubts.error} />}
      {doubts.data === undefined ? (
        <Skeleton h={80} />
      ) : doubts.data.data.length === 0 ? (
        <Empty title={text.noDoubts} what={text.noDoubtsWhat} />
      ) : (
        <Table.ScrollContainer minWidth={760}>
          <Table className="figures" aria-label={text.doubts}>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{text.task}</Table.Th>
                <Table.Th>{text.offer}</Table.Th>
                <Table.Th>{text.sent}</Table.Th>
                <Table.Th ta="right">{text.presumed}</Table.Th>
                <Table.Th>{text.reference}</Table.Th>
                <Table.Th />
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {doubts.data.data.map((doubt) => (
                <Table.Tr key={doubt.attempt_id}>
                  <Table.Td>
                    <Anchor component={Link} href={`/tasks/${doubt.task_id}`} size="sm" ff="monospace">
                      {doubt.task_id.replace("task-unified-", "")}
                    </Anchor>
                  </Table.Td>
                  <Table.Td className="verbatim">
                    {doubt.offer}
                    {doubt.message !== null && (
                      <Text size="xs" c="dimmed" className="verbatim">
                        {doubt.message}
                      </Text>
                    )}
                  </Table.Td>
                  <Table.Td>
                    <When ms={doubt.sent_at_ms} />
                  </Table.Td>
                  <Table.Td ta="right">{numbers.usd(doubt.presumed_cost.usd)}</Table.Td>
                  <Table.Td className="verbatim">{doubt.upstream_ref ?? "–"}</Table.Td>
                  <Table.Td ta="right">
                    {mayDo(session, "money") && (
                      <Button size="xs" variant="default" onClick={() => setChosen(doubt)}>
                        {text.resolve}
                      </Button>
                    )}
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
      {chosen !== null && <Resolve key={chosen.attempt_id} doubt={chosen} onClose={() => setChosen(null)} />}
    </Section>
  );
}

function Resolve({ doubt, onClose }: { doubt: Doubt; onClose: () => void }) {
  const text = useText();
  const numbers = useNumbers();
  const client = useQueryClient();
  const notice = useNotice();
  const [outcome, setOutcome] = useState<"paid" | "unpaid">("paid");
  const [cost, setCost] = useState<number | string>("");
  const [why, setWhy] = useState("");
  const resolve = useMutation({
    mutationFn: () =>
      answered(
        api.POST("/admin/v1/in-doubt/{attempt_id}/resolve", {
          params: { path: { attempt_id: doubt.attempt_id } },
          body: { outcome, why, ...(outcome === "paid" && cost !== "" ? { cost_usd: String(cost) } : {}) },
        }),
      ),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ["in-doubt"] });
      void client.invalidateQueries({ queryKey: ["upstreams"] });
      notice(text.booked);
      onClose();
    },
  });
  return (
    <Window
      onClose={onClose}
      title={`${text.resolve}: ${doubt.offer}`}
      closeButtonProps={{ "aria-label": text.cancel }}
    >
      <Stack>
        <Radio.Group
          value={outcome}
          onChange={(value) => setOutcome(value as "paid" | "unpaid")}
          aria-label={text.resolve}
        >
          <Stack gap="xs">
            <Radio value="paid" label={`${text.paidIt} (${numbers.usd(doubt.presumed_cost.usd)})`} />
            <Radio value="unpaid" label={text.unpaid} />
          </Stack>
        </Radio.Group>
        {outcome === "paid" && (
          <NumberInput
            label={text.cost}
            description={text.costHint}
            min={0}
            decimalScale={6}
            value={cost}
            onChange={setCost}
          />
        )}
        <TextInput
          label={text.why}
          value={why}
          maxLength={500}
          onChange={(event) => setWhy(event.currentTarget.value)}
        />
        {resolve.error !== null && <Failure error={resolve.error} />}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            {text.cancel}
          </Button>
          <Button onClick={() => resolve.mutate()} loading={resolve.isPending}>
            {text.book}
          </Button>
        </Group>
      </Stack>
    </Window>
  );
}
