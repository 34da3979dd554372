import { Group, Progress, Stack, Text } from "@mantine/core";

import { words } from "../i18n/language";
import { type Numbers, useNumbers } from "../i18n/numbers";

const useText = words({
  en: {
    day: "a day",
    week: "a week",
    month: "a month",
    total: "in all",
    granted: "granted",
    left: (amount: string) => `${amount} left`,
    held: (amount: string) => `${amount} held`,
    resets: (when: string) => `starts anew ${when}`,
    bar: (used: string, limit: string) => `${used} of ${limit} used`,
    credits: (n: string) => `${n} credits`,
    images: (n: string) => `${n} images`,
  },
  zh: {
    day: "每天",
    week: "每周",
    month: "每月",
    total: "总计",
    granted: "已授予",
    left: (amount: string) => `剩余 ${amount}`,
    held: (amount: string) => `预留 ${amount}`,
    resets: (when: string) => `${when}重置`,
    bar: (used: string, limit: string) => `已用 ${used} / ${limit}`,
    credits: (n: string) => `${n} 积分`,
    images: (n: string) => `${n} 张`,
  },
});

export interface ShownBudget {
  unit: "usd" | "credits" | "images";
  window: "day" | "week" | "month" | "total" | "granted";
  limit: number;
  used: number;
  held: number;
  left: number;
  resets_at_ms: number | null;
}

function amountOf(
  numbers: Numbers,
  text: ReturnType<typeof useText>,
  unit: ShownBudget["unit"],
  value: number,
): string {
  if (unit === "usd") return numbers.usd(value);
  return unit === "credits" ? text.credits(numbers.number(value)) : text.images(numbers.number(value));
}

/** Used and held as parts of the limit; red from 90 %, orange from 75 %. */
export function BudgetBar({ budget, label }: { budget: ShownBudget; label?: string }) {
  const text = useText();
  const numbers = useNumbers();
  const amount = (value: number) => amountOf(numbers, text, budget.unit, value);
  const part = (value: number) => (budget.limit > 0 ? Math.min(100, (value / budget.limit) * 100) : 100);
  const taken = part(budget.used + budget.held);
  const color = taken >= 90 ? "red" : taken >= 75 ? "orange" : "iris";
  return (
    <Stack gap={4}>
      <Group justify="space-between" gap="xs">
        <Text size="sm" fw={500} className="figures">
          {label !== undefined && `${label} · `}
          {amount(budget.limit)} {text[budget.window]}
        </Text>
        <Text size="sm" c="dimmed" className="figures">
          {text.left(amount(budget.left))}
        </Text>
      </Group>
      <Progress.Root size="md">
        <Progress.Section
          value={part(budget.used)}
          color={color}
          aria-label={text.bar(amount(budget.used), amount(budget.limit))}
        />
        <Progress.Section
          value={Math.min(part(budget.held), 100 - part(budget.used))}
          color="gray"
          aria-label={text.held(amount(budget.held))}
        />
      </Progress.Root>
      <Text size="xs" c="dimmed" className="figures">
        {[
          text.bar(amount(budget.used), amount(budget.limit)),
          budget.held > 0 ? text.held(amount(budget.held)) : null,
          budget.resets_at_ms === null ? null : text.resets(numbers.ago(budget.resets_at_ms, Date.now())),
        ]
          .filter((word) => word !== null)
          .join(" · ")}
      </Text>
    </Stack>
  );
}
