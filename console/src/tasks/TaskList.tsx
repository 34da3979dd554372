import { Anchor, Badge, Button, Center, Group, Select, Skeleton, Stack, Table, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { type InfiniteData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useLocation } from "wouter";

import { answered, api } from "../api/client";
import type { components } from "../api/schema";
import { useSignedIn } from "../api/session";
import { useNumbers } from "../i18n/numbers";
import { accountName } from "../parts/accountName";
import { Empty } from "../parts/Empty";
import { Failure } from "../parts/Failure";
import { PageHead } from "../parts/PageHead";
import { StateBadge, useStateNames } from "../parts/StateBadge";
import { When } from "../parts/When";
import { useText } from "./texts";

type AdminTask = components["schemas"]["AdminTaskItem"];
type OwnTask = components["schemas"]["TaskItem"];
type State = OwnTask["status"];

const STATES: readonly State[] = ["pending", "processing", "completed", "failed", "cancelled"];
const PAGE = 50;

/** One row, whoever looks: an administrator's list and a key's own have different shapes. */
interface Row {
  id: string;
  account: string | null;
  model: string;
  state: string;
  madeMs: number;
  tookMs: number | null;
  images: number;
  credits: number;
  cache: AdminTask["cache"];
  error: string | null;
}

const ofAdmin = (task: AdminTask): Row => ({
  id: task.id,
  account: accountName(task.account),
  model: task.model,
  state: task.state,
  madeMs: task.created_at_ms,
  tookMs: task.finished_at_ms === null ? null : task.finished_at_ms - task.created_at_ms,
  images: task.result_count,
  credits: task.charged.credits,
  cache: task.cache,
  error: task.error?.code ?? null,
});

const ofKey = (task: OwnTask): Row => ({
  id: task.id,
  account: null,
  model: task.model,
  state: task.status,
  madeMs: task.created_at * 1000,
  tookMs: task.duration === null ? null : task.duration * 1000,
  images: task.result_count,
  credits: task.credits_used,
  cache: null,
  error: null,
});

interface Filters {
  state: State | null;
  model: string;
  org: string;
  team: string;
  key: string;
}

export default function TaskList() {
  const text = useText();
  const session = useSignedIn();
  const names = useStateNames();
  const [filters, setFilters] = useState<Filters>({ state: null, model: "", org: "", team: "", key: "" });
  const [asked] = useDebouncedValue(filters, 250);
  const set = (part: Partial<Filters>) => setFilters((before) => ({ ...before, ...part }));
  const administers = session.administrator !== null;
  return (
    <>
      <PageHead title={text.title} what={text.what}>
        <OpenById />
      </PageHead>
      <Group gap="xs" mb="md" align="flex-end">
        <Select
          label={text.state}
          size="sm"
          w={150}
          placeholder={text.any}
          clearable
          data={STATES.map((value) => ({ value, label: names[value] ?? value }))}
          value={filters.state}
          onChange={(state) => set({ state: state as State | null })}
        />
        <TextInput
          label={text.model}
          w={170}
          placeholder={text.any}
          value={filters.model}
          onChange={(event) => set({ model: event.currentTarget.value.trim() })}
        />
        {administers && (
          <>
            <TextInput
              label={text.org}
              w={140}
              placeholder={text.any}
              value={filters.org}
              onChange={(event) => set({ org: event.currentTarget.value })}
            />
            <TextInput
              label={text.team}
              w={140}
              placeholder={text.any}
              disabled={filters.org === ""}
              value={filters.team}
              onChange={(event) => set({ team: event.currentTarget.value })}
            />
            <TextInput
              label={text.key}
              w={140}
              placeholder={text.any}
              disabled={filters.org === ""}
              value={filters.key}
              onChange={(event) => set({ key: event.currentTarget.value })}
            />
          </>
        )}
      </Group>
      {administers ? <AllTasks filters={asked} /> : <OwnTasks filters={asked} />}
    </>
  );
}

function OpenById() {
  const text = useText();
  const [, go] = useLocation();
  const [id, setId] = useState("");
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (id.trim() !== "") go(`/tasks/${encodeURIComponent(id.trim())}`);
      }}
    >
      <Group gap="xs">
        <TextInput
          size="xs"
          w={260}
          aria-label={text.search}
          placeholder="task-unified-…"
          value={id}
          onChange={(event) => setId(event.currentTarget.value)}
        />
        <Button size="xs" type="submit" variant="default">
          {text.open}
        </Button>
      </Group>
    </form>
  );
}

function AllTasks({ filters }: { filters: Filters }) {
  const query = {
    limit: PAGE,
    ...(filters.state === null ? {} : { state: filters.state }),
    ...(filters.model === "" ? {} : { model: filters.model }),
    ...(filters.org === ""
      ? {}
      : {
          org: filters.org,
          ...(filters.team === "" ? {} : { team: filters.team }),
          ...(filters.key === "" ? {} : { key: filters.key }),
        }),
  };
  const tasks = useInfiniteQuery({
    queryKey: ["tasks", query],
    queryFn: ({ pageParam }) =>
      answered(
        api.GET("/admin/v1/tasks", {
          params: { query: { ...query, ...(pageParam === "" ? {} : { before: pageParam }) } },
        }),
      ),
    initialPageParam: "",
    getNextPageParam: (page) => page.next_before,
    // Only while the first page alone is shown: older pages do not change, and would all be read again.
    refetchInterval: (running) =>
      (running.state.data as InfiniteData<unknown> | undefined)?.pages.length === 1 ? 2000 : false,
  });
  return (
    <Rows
      rows={tasks.data?.pages.flatMap((page) => page.data.map(ofAdmin))}
      error={tasks.error}
      withAccount
      more={tasks.hasNextPage ? () => void tasks.fetchNextPage() : null}
      loading={tasks.isFetchingNextPage}
    />
  );
}

function OwnTasks({ filters }: { filters: Filters }) {
  const [pages, setPages] = useState(1);
  const query = {
    page: 1,
    page_size: Math.min(100, pages * PAGE),
    ...(filters.state === null ? {} : { status: filters.state }),
    ...(filters.model === "" ? {} : { model: filters.model }),
  };
  const tasks = useQuery({
    queryKey: ["own-tasks", query],
    queryFn: () => answered(api.GET("/v1/tasks", { params: { query } })),
    refetchInterval: 2000,
  });
  const found = tasks.data;
  return (
    <Rows
      rows={found?.data.map(ofKey)}
      error={tasks.error}
      withAccount={false}
      more={
        found !== undefined && found.total > found.data.length && pages * PAGE < 100 ? () => setPages(pages + 1) : null
      }
      loading={false}
    />
  );
}

interface RowsProps {
  rows: readonly Row[] | undefined;
  error: Error | null;
  withAccount: boolean;
  more: (() => void) | null;
  loading: boolean;
}

function Rows({ rows, error, withAccount, more, loading }: RowsProps) {
  const text = useText();
  const numbers = useNumbers();
  if (error !== null) return <Failure error={error} />;
  if (rows === undefined) return <Skeleton h={320} />;
  if (rows.length === 0) return <Empty title={text.none} what={text.noneWhat} />;
  return (
    <Stack>
      <Table.ScrollContainer minWidth={760}>
        <Table highlightOnHover className="figures" aria-label={text.title}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{text.task}</Table.Th>
              <Table.Th>{text.state}</Table.Th>
              {withAccount && <Table.Th>{text.account}</Table.Th>}
              <Table.Th>{text.model}</Table.Th>
              <Table.Th>{text.made}</Table.Th>
              <Table.Th ta="right">{text.took}</Table.Th>
              <Table.Th ta="right">{text.images}</Table.Th>
              <Table.Th ta="right">{text.charged}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {rows.map((row) => (
              <Table.Tr key={row.id}>
                <Table.Td>
                  <Anchor component={Link} href={`/tasks/${row.id}`} size="sm" ff="monospace">
                    {row.id.replace("task-unified-", "")}
                  </Anchor>
                </Table.Td>
                <Table.Td>
                  <Group gap={6} wrap="nowrap">
                    <StateBadge state={row.state} />
                    {(row.cache === "hit" || row.cache === "joined") && (
                      <Badge variant="outline">{text[row.cache]}</Badge>
                    )}
                    {row.error !== null && (
                      <Badge variant="outline" color="red">
                        {row.error}
                      </Badge>
                    )}
                  </Group>
                </Table.Td>
                {withAccount && <Table.Td className="verbatim">{row.account}</Table.Td>}
                <Table.Td className="verbatim">{row.model}</Table.Td>
                <Table.Td>
                  <When ms={row.madeMs} />
                </Table.Td>
                <Table.Td ta="right">{row.tookMs === null ? "–" : numbers.duration(row.tookMs)}</Table.Td>
                <Table.Td ta="right">{numbers.number(row.images)}</Table.Td>
                <Table.Td ta="right">{text.credits(numbers.number(row.credits))}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      {more !== null && (
        <Center>
          <Button variant="default" onClick={more} loading={loading}>
            {text.more}
          </Button>
        </Center>
      )}
    </Stack>
  );
}
