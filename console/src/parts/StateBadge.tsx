import { Badge } from "@mantine/core";

import { words } from "../i18n/language";

const COLORS: Record<string, string> = {
  pending: "gray",
  processing: "blue",
  completed: "teal",
  failed: "red",
  cancelled: "gray",
};

const useText = words({
  en: { pending: "Waiting", processing: "Running", completed: "Completed", failed: "Failed", cancelled: "Cancelled" },
  zh: { pending: "等待中", processing: "运行中", completed: "已完成", failed: "失败", cancelled: "已取消" },
});

/** The states' names in the present language. */
export function useStateNames(): Record<string, string> {
  return useText();
}

/** A task's state. */
export function StateBadge({ state }: { state: string }) {
  const text = useStateNames();
  return (
    <Badge color={COLORS[state] ?? "gray"} variant="light" radius="sm" miw="max-content">
      {text[state] ?? state}
    </Badge>
  );
}
