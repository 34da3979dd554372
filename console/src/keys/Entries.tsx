import { Anchor, Button, Center, Skeleton, Stack, Table, Text } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "wouter";

import { answered, api } from "../api/client";
import { useNumbers } from "../i18n/numbers";
import { Failure } from "../parts/Failure";
import { Section } from "../parts/Section";
import { useText } from "./texts";

const PAGE = 25;

/** An account's ledger entries, newest first. */
export function Entries({ account }: { account: string }) {
  const text = useText();
  const numbers = useNumbers();
  const entries = useInfiniteQuery({
    queryKey: ["entries", account],
    queryFn: ({ pageParam }) =>
      answered(
        api.GET("/admin/v1/accounts/{account}/entries", {
          params: { path: { account }, query: { limit: PAGE, ...(pageParam === null ? {} : { before: pageParam }) } },
        }),
      ),
    initialPageParam: null as number | null,
    getNextPageParam: (page) => (page.has_more ? page.before : undefined),
  });
  const rows = entries.data?.pages.flatMap((page) => page.data);
  return (
    <Section title={text.entries} what={text.entriesWhat}>
      {entries.error !== null && <Failure error={entries.error} />}
      {rows === undefined ? (
        <Skeleton h={120} />
      ) : (
        <Stack>
          <Table.ScrollContainer minWidth={680}>
            <Table className="figures" aria-label={text.entries}>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{text.at}</Table.Th>
                  <Table.Th>{text.kind}</Table.Th>
                  <Table.Th ta="right">{text.pending}</Table.Th>
                  <Table.Th ta="right">{text.posted}</Table.Th>
                  <Table.Th>{text.task}</Table.Th>
                  <Table.Th>{text.note}</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {rows.map((entry) => (
                  <Table.Tr key={entry.id}>
                    <Table.Td>{numbers.moment(entry.at_ms)}</Table.Td>
                    <Table.Td>{entry.kind}</Table.Td>
                    <Table.Td ta="right">
                      {numbers.usd(entry.pending.usd)}
                      <Text size="xs" c="dimmed">
                        {text.creditsOf(numbers.number(entry.pending.credits))}
                      </Text>
                    </Table.Td>
                    <Table.Td ta="right">
                      {numbers.usd(entry.posted.usd)}
                      <Text size="xs" c="dimmed">
                        {text.creditsOf(numbers.number(entry.posted.credits))}
                      </Text>
                    </Table.Td>
                    <Table.Td>
                      {entry.task_id !== null && (
                        <Anchor component={Link} href={`/tasks/${entry.task_id}`} size="sm" ff="monospace">
                          {entry.task_id.replace("task-unified-", "")}
                        </Anchor>
                      )}
                    </Table.Td>
                    <Table.Td className="verbatim">{entry.note}</Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
          {entries.hasNextPage && (
            <Center>
              <Button
                variant="default"
                loading={entries.isFetchingNextPage}
                onClick={() => void entries.fetchNextPage()}
              >
                {text.more}
              </Button>
            </Center>
          )}
        </Stack>
      )}
    </Section>
  );
}
