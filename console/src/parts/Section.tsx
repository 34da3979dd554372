import { Group, Paper, Stack, Text } from "@mantine/core";
import { type ReactNode, useId } from "react";

/** A part of a page with its heading, and what can be done there. */
export function Section({
  title,
  what,
  actions,
  children,
}: {
  title: string;
  what?: string;
  actions?: ReactNode;
  children: ReactNode;
}) {
  const id = useId();
  return (
    <Paper withBorder p="md" radius="md" component="section" aria-labelledby={id}>
      <Group justify="space-between" align="flex-start" mb="sm">
        <Stack gap={2}>
          <Text fw={600} component="h2" size="md" id={id}>
            {title}
          </Text>
          {what !== undefined && (
            <Text size="sm" c="dimmed">
              {what}
            </Text>
          )}
        </Stack>
        {actions !== undefined && <Group gap="xs">{actions}</Group>}
      </Group>
      {children}
    </Paper>
  );
}
