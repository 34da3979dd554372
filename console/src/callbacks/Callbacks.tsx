import { Anchor, Badge, Button, Center, SegmentedControl, Skeleton, Stack, Table, Text } from "@mantine/core";
import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";

import { answered, api } from "../api/client";
import type { components } from "../api/schema";
import { mayDo, useSignedIn } from "../api/session";
import { words } from "../i18n/language";
import { useNumbers } from "../i18n/numbers";
import { accountName } from "../parts/accountName";
import { Empty } from "../parts/Empty";
import { Failure } from "../parts/Failure";
import { useNotice } from "../parts/notices";
import { PageHead } from "../parts/PageHead";
import { When } from "../parts/When";

type Item = components["schemas"]["CallbackItem"];
type State = Item["state"];

const PAGE = 50;
const COLORS: Record<State, string> = { due: "blue", sent: "teal", dead: "red" };

const useText = words({
  en: {
    title: "Callbacks",
    what: "Who asked to be told a task's end, and whether that worked. What was given up can be sent again.",
    all: "all",
    state: "State",
    states: { due: "to be sent", sent: "delivered", dead: "given up" },
    task: "Task",
    account: "Account",
    to: "To",
    tries: "Tries",
    answer: "Last answer",
    made: "Made",
    next: (when: string) => `next try ${when}`,
    resend: "Send again",
    resent: "It will be sent again.",
    none: "There are none",
    noneWhat: "Calls with a callback_url appear here when their tasks have ended.",
    more: "Load older ones",
  },
  zh: {
    title: "回调",
    what: "哪些调用要求通知任务结束,以及是否送达。已放弃的可以重新发送。",
    all: "全部",
    state: "状态",
    states: { due: "待发送", sent: "已送达", dead: "已放弃" },
    task: "任务",
    account: "账户",
    to: "地址",
    tries: "尝试次数",
    answer: "最近响应",
    made: "创建时间",
    next: (when: string) => `下次尝试 ${when}`,
    resend: "重新发送",
    resent: "将重新发送。",
    none: "没有回调",
    noneWhat: "带有 callback_url 的调用在任务结束后会显示在这里。",
    more: "加载更早的回调",
  },
});

export default function Callbacks() {
  const text = useText();
  const [state, setState] = useState<State | "all">("dead");
  const callbacks = useInfiniteQuery({
    queryKey: ["callbacks", state],
    queryFn: ({ pageParam }) =>
      answered(
        api.GET("/admin/v1/callbacks", {
          params: {
            query: {
              limit: PAGE,
              ...(state === "all" ? {} : { state }),
              ...(pageParam === "" ? {} : { before: pageParam }),
            },
          },
        }),
      ),
    initialPageParam: "",
    getNextPageParam: (page) => (page.has_more ? page.data.at(-1)?.id : undefined),
    refetchInterval: 5000,
  });
  const rows = callbacks.data?.pages.flatMap((page) => page.data);
  return (
    <>
      <PageHead title={text.title} what={text.what}>
        <SegmentedControl
          aria-label={text.state}
          value={state}
          onChange={(value) => setState(value as State | "all")}
          data={[
            { value: "dead", label: text.states.dead },
            { value: "due", label: text.states.due },
            { value: "sent", label: text.states.sent },
            { value: "all", label: text.all },
          ]}
        />
      </PageHead>
      <Stack>
        {callbacks.error !== null && <Failure error={callbacks.error} retry={() => void callbacks.refetch()} />}
        {rows === undefined ? (
          <Skeleton h={240} />
        ) : rows.length === 0 ? (
          <Empty title={text.none} what={text.noneWhat} />
        ) : (
          <Rows rows={rows} />
        )}
        {callbacks.hasNextPage && (
          <Center>
            <Button
              variant="default"
              loading={callbacks.isFetchingNextPage}
              onClick={() => void callbacks.fetchNextPage()}
            >
              {text.more}
            </Button>
          </Center>
        )}
      </Stack>
    </>
  );
}

function Rows({ rows }: { rows: readonly Item[] }) {
  const text = useText();
  const numbers = useNumbers();
  const session = useSignedIn();
  const client = useQueryClient();
  const notice = useNotice();
  const resend = useMutation({
    mutationFn: (id: string) =>
      answered(api.POST("/admin/v1/callbacks/{callback_id}/resend", { params: { path: { callback_id: id } } })),
    onSuccess: () => {
      notice(text.resent);
      void client.invalidateQueries({ queryKey: ["callbacks"] });
    },
  });
  return (
    <>
      {resend.error !== null && <Failure error={resend.error} />}
      <Table.ScrollContainer minWidth={860}>
        <Table className="figures" aria-label={text.title}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{text.state}</Table.Th>
              <Table.Th>{text.task}</Table.Th>
              <Table.Th>{text.account}</Table.Th>
              <Table.Th>{text.to}</Table.Th>
              <Table.Th ta="right">{text.tries}</Table.Th>
              <Table.Th>{text.answer}</Table.Th>
              <Table.Th>{text.made}</Table.Th>
              <Table.Th />
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {rows.map((row) => (
              <Table.Tr key={row.id}>
                <Table.Td>
                  <Badge variant="light" color={COLORS[row.state]} miw="max-content">
                    {text.states[row.state]}
                  </Badge>
                </Table.Td>
                <Table.Td>
                  <Anchor component={Link} href={`/tasks/${row.task_id}`} size="sm" ff="monospace">
                    {row.task_id.replace("task-unified-", "")}
                  </Anchor>
                </Table.Td>
                <Table.Td className="verbatim">{accountName(row.account)}</Table.Td>
                <Table.Td className="verbatim">{row.url}</Table.Td>
                <Table.Td ta="right">{numbers.number(row.tries)}</Table.Td>
                <Table.Td className="verbatim">
                  {row.answer ?? "–"}
                  {row.next_at_ms !== null && (
                    <Text size="xs" c="dimmed">
                      {text.next(numbers.ago(row.next_at_ms, Date.now()))}
                    </Text>
                  )}
                </Table.Td>
                <Table.Td>
                  <When ms={row.created_at_ms} />
                </Table.Td>
                <Table.Td ta="right">
                  {mayDo(session, "keys") && row.state !== "due" && (
                    <Button
                      size="xs"
                      variant="default"
                      onClick={() => resend.mutate(row.id)}
                      loading={resend.isPending && resend.variables === row.id}
                    >
                      {text.resend}
                    </Button>
                  )}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </>
  );
}
