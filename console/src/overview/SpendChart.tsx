import { useMantineTheme } from "@mantine/core";
import { Bar, BarChart, CartesianGrid, Legend, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts";

import { useNumbers } from "../i18n/numbers";

export interface Series {
  key: string;
  label: string;
}

const COLORS = ["iris", "teal", "orange", "blue", "pink", "lime", "gray"] as const;

/** USD a day, in parts. The table below it says the same to whom a chart says nothing. */
export default function SpendChart({
  rows,
  series,
  label,
}: {
  rows: Record<string, number | string>[];
  series: readonly Series[];
  label: string;
}) {
  const theme = useMantineTheme();
  const numbers = useNumbers();
  return (
    <div role="img" aria-label={label}>
      <ResponsiveContainer width="100%" height={260}>
        <BarChart data={rows} margin={{ top: 8, right: 8, bottom: 0, left: 8 }}>
          <CartesianGrid vertical={false} stroke="var(--mantine-color-default-border)" />
          <XAxis
            dataKey="day"
            tickFormatter={numbers.day}
            tick={{ fontSize: 12, fill: "var(--mantine-color-dimmed)" }}
            tickLine={false}
            axisLine={false}
            minTickGap={24}
          />
          <YAxis
            tickFormatter={numbers.usdRound}
            width={72}
            tick={{ fontSize: 12, fill: "var(--mantine-color-dimmed)" }}
            tickLine={false}
            axisLine={false}
          />
          <Tooltip
            formatter={(value) => numbers.usd(Number(value))}
            labelFormatter={(day) => numbers.day(String(day))}
            cursor={{ fill: "var(--mantine-color-default-hover)" }}
            contentStyle={{
              background: "var(--mantine-color-body)",
              border: "1px solid var(--mantine-color-default-border)",
              borderRadius: 8,
            }}
          />
          <Legend wrapperStyle={{ fontSize: 12 }} />
          {series.map((one, index) => (
            <Bar
              key={one.key}
              dataKey={(row: Record<string, number | string>) => row[one.key]}
              name={one.label}
              stackId="spend"
              fill={theme.colors[COLORS[index] ?? "gray"]?.[5] ?? "#888"}
              isAnimationActive={false}
            />
          ))}
        </BarChart>
      </ResponsiveContainer>
    </div>
  );
}
