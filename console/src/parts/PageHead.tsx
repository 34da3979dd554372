import { Group, Stack, Text, Title } from "@mantine/core";
import { type ReactNode, useEffect } from "react";

/** A page's name, in the window's title too, and what can be done on it. */
export function PageHead({ title, what, children }: { title: string; what?: string; children?: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · Image gateway`;
  }, [title]);
  return (
    <Group justify="space-between" align="flex-start" mb="lg">
      <Stack gap={2}>
        <Title order={1}>{title}</Title>
        {what !== undefined && (
          <Text c="dimmed" size="sm" maw={640}>
            {what}
          </Text>
        )}
      </Stack>
      <Group gap="xs">{children}</Group>
    </Group>
  );
}
