import {
  Grid,
  Group,
  Paper,
  SegmentedControl,
  Select,
  SimpleGrid,
  Skeleton,
  Stack,
  Table,
  Text,
  VisuallyHidden,
} from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useState } from "react";
import { Link } from "wouter";

import { answered, api } from "../api/client";
import type { components } from "../api/schema";
import { useSignedIn } from "../api/session";
import { words } from "../i18n/language";
import { useNumbers } from "../i18n/numbers";
import { accountName } from "../parts/accountName";
import { BudgetBar } from "../parts/BudgetBar";
import { Empty } from "../parts/Empty";
import { Failure } from "../parts/Failure";
import { PageHead } from "../parts/PageHead";
import type { Series } from "./SpendChart";

const SpendChart = lazy(() => import("./SpendChart"));

type UsageLine = components["schemas"]["UsageLineAnswer"];
type Dimension = "org" | "team" | "key" | "model" | "upstream";

const DIMENSIONS: readonly Dimension[] = ["org", "team", "key", "model", "upstream"];
const DAYS = ["7", "30", "90"] as const;
const SERIES_MAX = 6;

const useText = words({
  en: {
    title: "Overview",
    own: "What this key spends.",
    today: "Charged today",
    month: "Charged this month",
    paid: "Paid to upstreams this month",
    margin: (amount: string) => `margin ${amount}`,
    images: "Images this month",
    tasksFailed: (tasks: string, failed: string) => `${tasks} tasks, ${failed} without a picture`,
    latency: "Latency, last 24 hours",
    p95: (time: string) => `95 of 100 within ${time}`,
    success: "Success, last 24 hours",
    ofTasks: (count: string) => `of ${count} ended tasks`,
    cache: "Cache hits this month",
    cacheSaved: (amount: string) => `${amount} saved`,
    routing: "Saved by routing this month",
    routingWhat: "against the dearest upstream able to do it",
    spend: "Spend over time",
    by: "By",
    dimensions: { org: "organisation", team: "team", key: "key", model: "model", upstream: "upstream" },
    days: "Days",
    amount: "Amount",
    charged: "charged",
    paidShort: "paid",
    other: "others",
    none: "Nothing was charged in this time",
    noneWhat: "Pictures made with any key appear here the moment they are charged.",
    budgets: "Budgets of organisations and teams",
    noBudgets: "No organisation or team has a budget",
    noBudgetsWhat: "Without one, only keys' own budgets and prepaid credits limit what is spent.",
    setBudget: "Set a budget",
    table: "The same in figures",
    name: "Name",
    tasks: "Tasks",
    imagesShort: "Images",
    upstreams: "Upstreams, last 24 hours",
    used: "Used",
    ownBudget: "Budget of this key",
    noOwnBudget: "This key has no budget of its own; its team or organisation may have.",
    usedInAll: "Used since it was made",
    credits: (n: string) => `${n} credits`,
  },
  zh: {
    title: "总览",
    own: "此密钥的支出。",
    today: "今日计费",
    month: "本月计费",
    paid: "本月支付上游",
    margin: (amount: string) => `毛利 ${amount}`,
    images: "本月图像",
    tasksFailed: (tasks: string, failed: string) => `${tasks} 个任务,${failed} 个未生成图像`,
    latency: "延迟(近 24 小时)",
    p95: (time: string) => `95% 在 ${time} 内完成`,
    success: "成功率(近 24 小时)",
    ofTasks: (count: string) => `共 ${count} 个已结束任务`,
    cache: "本月缓存命中",
    cacheSaved: (amount: string) => `节省 ${amount}`,
    routing: "本月路由节省",
    routingWhat: "相对可用的最贵上游",
    spend: "支出趋势",
    by: "维度",
    dimensions: { org: "组织", team: "团队", key: "密钥", model: "模型", upstream: "上游" },
    days: "天数",
    amount: "金额",
    charged: "计费",
    paidShort: "支付",
    other: "其他",
    none: "此期间没有计费",
    noneWhat: "任何密钥生成的图像一经计费即显示在这里。",
    budgets: "组织与团队预算",
    noBudgets: "尚未设置组织或团队预算",
    noBudgetsWhat: "未设置时,仅由密钥预算和预付积分限制支出。",
    setBudget: "设置预算",
    table: "数据表",
    name: "名称",
    tasks: "任务",
    imagesShort: "图像",
    upstreams: "上游(近 24 小时)",
    used: "已用",
    ownBudget: "此密钥的预算",
    noOwnBudget: "此密钥没有单独的预算;其团队或组织可能有。",
    usedInAll: "创建以来的用量",
    credits: (n: string) => `${n} 积分`,
  },
});

export default function Overview() {
  const session = useSignedIn();
  return session.administrator === null ? <OwnSpend /> : <Books />;
}

/** A day as the gateway's books have it, in UTC. */
function dayOf(date: Date): string {
  return date.toISOString().slice(0, 10);
}

function daysBack(count: number): string[] {
  const days: string[] = [];
  for (let back = count - 1; back >= 0; back -= 1) days.push(dayOf(new Date(Date.now() - back * 86_400_000)));
  return days;
}

function useUsage(by: string, since: string) {
  return useQuery({
    queryKey: ["usage", by, since],
    queryFn: () => answered(api.GET("/admin/v1/usage", { params: { query: { by, since } } })),
    refetchInterval: 15_000,
  });
}

function Books() {
  const text = useText();
  const numbers = useNumbers();
  const today = dayOf(new Date());
  const month = useUsage("day", `${today.slice(0, 7)}-01`);
  const hours = useQuery({
    queryKey: ["overview"],
    queryFn: () => answered(api.GET("/admin/v1/overview", { params: { query: { hours: 24 } } })),
    refetchInterval: 15_000,
  });
  const error = month.error ?? hours.error;
  const sum = (part: (line: UsageLine) => number, day?: string) =>
    (month.data?.data ?? [])
      .filter((line) => day === undefined || line.day === day)
      .reduce((total, line) => total + part(line), 0);
  const ended = hours.data === undefined ? 0 : hours.data.by_state.completed + hours.data.by_state.failed;
  const latency = hours.data?.latency;
  // A card shows cents; the exact amount is a hover away, and in the table.
  const money = (usd: number) => ({ value: numbers.usdRound(usd), exact: numbers.usd(usd) });
  const cards =
    month.data === undefined || hours.data === undefined || latency === undefined
      ? null
      : [
          {
            name: text.today,
            ...money(sum((line) => line.charged_usd, today)),
            what: text.credits(numbers.round(sum((line) => line.credits, today))),
          },
          {
            name: text.month,
            ...money(sum((line) => line.charged_usd)),
            what: text.credits(numbers.round(sum((line) => line.credits))),
          },
          {
            name: text.paid,
            ...money(sum((line) => line.paid_usd)),
            what: text.margin(numbers.usdRound(sum((line) => line.charged_usd - line.paid_usd))),
          },
          {
            name: text.images,
            value: numbers.number(sum((line) => line.images)),
            what: text.tasksFailed(
              numbers.number(sum((line) => line.tasks)),
              numbers.number(sum((line) => line.failed)),
            ),
          },
          {
            name: text.latency,
            value: latency.p50_ms === null ? "–" : numbers.duration(latency.p50_ms),
            what: latency.p95_ms === null ? "" : text.p95(numbers.duration(latency.p95_ms)),
          },
          {
            name: text.success,
            value: ended === 0 ? "–" : numbers.percent(hours.data.by_state.completed / ended),
            what: text.ofTasks(numbers.number(ended)),
          },
          {
            name: text.cache,
            value: numbers.number(sum((line) => line.cache_hits)),
            what: text.cacheSaved(numbers.usdRound(sum((line) => line.cache_saved_usd))),
          },
          { name: text.routing, ...money(sum((line) => line.routing_saved_usd)), what: text.routingWhat },
        ];
  return (
    <>
      <PageHead title={text.title} />
      <Stack gap="lg">
        {error !== null && <Failure error={error} />}
        {cards === null ? (
          <Skeleton h={180} />
        ) : (
          <SimpleGrid cols={{ base: 2, md: 4 }} component="dl" m={0}>
            {cards.map((card) => (
              <Paper key={card.name} withBorder p="md" radius="md">
                <Text size="sm" c="dimmed" component="dt">
                  {card.name}
                </Text>
                <Text
                  fz={24}
                  fw={650}
                  className="figures"
                  component="dd"
                  m={0}
                  title={"exact" in card ? card.exact : undefined}
                >
                  {card.value}
                </Text>
                <Text size="xs" c="dimmed" className="figures" component="dd" m={0}>
                  {card.what}
                </Text>
              </Paper>
            ))}
          </SimpleGrid>
        )}
        <Spend />
        <Budgets />
      </Stack>
    </>
  );
}

/** The name of a line under a dimension; teams and keys are named with their org. */
function nameOf(line: UsageLine, by: Dimension): string {
  const own = line[by] ?? "";
  if (by === "team") return [line.org, own].filter((part) => part != null && part !== "").join("/");
  if (by === "key") return [line.org, line.team, own].filter((part) => part != null && part !== "").join("/");
  return own === "" ? "–" : own;
}

function Spend() {
  const text = useText();
  const numbers = useNumbers();
  const [by, setBy] = useState<Dimension>("team");
  const [days, setDays] = useState<string>("30");
  const [paid, setPaid] = useState(false);
  const shown = daysBack(Number(days));
  const usage = useUsage(`day,${by}`, shown[0] ?? "");
  const lines = usage.data?.data ?? [];
  const worth = (line: UsageLine) => (paid ? line.paid_usd : line.charged_usd);
  const totals = new Map<string, { usd: number; tasks: number; images: number }>();
  for (const line of lines) {
    const name = nameOf(line, by);
    const total = totals.get(name) ?? { usd: 0, tasks: 0, images: 0 };
    totals.set(name, {
      usd: total.usd + worth(line),
      tasks: total.tasks + line.tasks,
      images: total.images + line.images,
    });
  }
  const ranked = [...totals].sort((a, b) => b[1].usd - a[1].usd);
  const named = ranked.slice(0, SERIES_MAX).map(([name]) => name);
  const series: Series[] = [
    ...named.map((name) => ({ key: name, label: name })),
    ...(ranked.length > SERIES_MAX ? [{ key: "\0other", label: text.other }] : []),
  ];
  const rows = shown.map((day) => {
    const row: Record<string, number | string> = { day };
    for (const one of series) row[one.key] = 0;
    for (const line of lines) {
      if (line.day !== day) continue;
      const name = nameOf(line, by);
      const key = named.includes(name) ? name : "\0other";
      row[key] = Number(row[key] ?? 0) + worth(line);
    }
    return row;
  });
  return (
    <Paper withBorder p="md" radius="md" component="section" aria-labelledby="spend">
      <Group justify="space-between" mb="md">
        <Text fw={600} component="h2" size="md" id="spend">
          {text.spend}
        </Text>
        <Group gap="xs">
          <Select
            aria-label={text.by}
            size="xs"
            w={140}
            allowDeselect={false}
            data={DIMENSIONS.map((value) => ({ value, label: text.dimensions[value] }))}
            value={by}
            onChange={(value) => value !== null && setBy(value as Dimension)}
          />
          <SegmentedControl size="xs" aria-label={text.days} data={[...DAYS]} value={days} onChange={setDays} />
          <SegmentedControl
            size="xs"
            aria-label={text.amount}
            data={[
              { value: "charged", label: text.charged },
              { value: "paid", label: text.paidShort },
            ]}
            value={paid ? "paid" : "charged"}
            onChange={(value) => setPaid(value === "paid")}
          />
        </Group>
      </Group>
      {usage.error !== null && <Failure error={usage.error} />}
      {usage.data === undefined ? (
        <Skeleton h={260} />
      ) : ranked.length === 0 ? (
        <Empty title={text.none} what={text.noneWhat} />
      ) : (
        <Stack>
          <Suspense fallback={<Skeleton h={260} />}>
            <SpendChart rows={rows} series={series} label={text.spend} />
          </Suspense>
          <Table.ScrollContainer minWidth={420}>
            <Table className="figures">
              <Table.Caption>
                <VisuallyHidden>{text.table}</VisuallyHidden>
              </Table.Caption>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{text.dimensions[by]}</Table.Th>
                  <Table.Th ta="right">{paid ? text.paidShort : text.charged}</Table.Th>
                  <Table.Th ta="right">{text.imagesShort}</Table.Th>
                  <Table.Th ta="right">{text.tasks}</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {ranked.slice(0, 12).map(([name, total]) => (
                  <Table.Tr key={name}>
                    <Table.Td className="verbatim">{name}</Table.Td>
                    <Table.Td ta="right">{numbers.usd(total.usd)}</Table.Td>
                    <Table.Td ta="right">{numbers.number(total.images)}</Table.Td>
                    <Table.Td ta="right">{numbers.number(total.tasks)}</Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        </Stack>
      )}
    </Paper>
  );
}

function Budgets() {
  const text = useText();
  const accounts = useQuery({
    queryKey: ["accounts", "all"],
    queryFn: async () => {
      const kinds = await Promise.all(
        (["org", "team"] as const).map((kind) =>
          answered(api.GET("/admin/v1/accounts", { params: { query: { kind, limit: 200 } } })),
        ),
      );
      return kinds.flatMap((page) => page.data);
    },
    refetchInterval: 15_000,
  });
  const budgeted = (accounts.data ?? [])
    .flatMap((account) => account.budgets.map((budget) => ({ account, budget })))
    .sort(
      (a, b) =>
        (b.budget.used + b.budget.held) / (b.budget.limit || 1) -
        (a.budget.used + a.budget.held) / (a.budget.limit || 1),
    );
  return (
    <Paper withBorder p="md" radius="md" component="section" aria-labelledby="budgets">
      <Text fw={600} component="h2" size="md" id="budgets" mb="md">
        {text.budgets}
      </Text>
      {accounts.error !== null && <Failure error={accounts.error} />}
      {accounts.data === undefined ? (
        <Skeleton h={80} />
      ) : budgeted.length === 0 ? (
        <Empty title={text.noBudgets} what={text.noBudgetsWhat} action={<Link href="/keys">{text.setBudget}</Link>} />
      ) : (
        <Grid>
          {budgeted.slice(0, 12).map(({ account, budget }) => (
            <Grid.Col key={account.id + budget.budget} span={{ base: 12, md: 6 }}>
              <BudgetBar budget={budget} label={accountName(account.id)} />
            </Grid.Col>
          ))}
        </Grid>
      )}
    </Paper>
  );
}

function OwnSpend() {
  const text = useText();
  const numbers = useNumbers();
  const account = useQuery({
    queryKey: ["own-account"],
    queryFn: () => answered(api.GET("/console/api/account")),
    refetchInterval: 10_000,
  });
  return (
    <>
      <PageHead title={text.title} what={text.own} />
      {account.error !== null && <Failure error={account.error} retry={() => void account.refetch()} />}
      {account.data === undefined ? (
        <Skeleton h={160} />
      ) : (
        <Stack maw={640}>
          <Paper withBorder p="md" radius="md">
            <Text fw={600} component="h2" size="md" mb="sm">
              {text.ownBudget}
            </Text>
            <Stack>
              {account.data.budgets.map((budget) => (
                <BudgetBar key={budget.budget} budget={budget} />
              ))}
              {account.data.budgets.length === 0 && (
                <Text size="sm" c="dimmed">
                  {text.noOwnBudget}
                </Text>
              )}
            </Stack>
          </Paper>
          <Paper withBorder p="md" radius="md">
            <Text size="sm" c="dimmed">
              {text.usedInAll}
            </Text>
            <Text fz={24} fw={650} className="figures">
              {numbers.usd(account.data.used.usd)}
            </Text>
            <Text size="xs" c="dimmed" className="figures">
              {text.credits(numbers.number(account.data.used.credits))} · {numbers.number(account.data.used.images)}{" "}
              {text.imagesShort}
            </Text>
          </Paper>
        </Stack>
      )}
    </>
  );
}
