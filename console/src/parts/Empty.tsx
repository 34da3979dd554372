import { Paper, Stack, Text } from "@mantine/core";
import type { ReactNode } from "react";

/** Where there is nothing yet: says so, and what to do. */
export function Empty({ title, what, action }: { title: string; what?: string; action?: ReactNode }) {
  return (
    <Paper p="xl" radius="md" withBorder>
      <Stack align="center" gap="xs">
        <Text fw={600}>{title}</Text>
        {what !== undefined && (
          <Text c="dimmed" size="sm" ta="center" maw={480}>
            {what}
          </Text>
        )}
        {action}
      </Stack>
    </Paper>
  );
}
