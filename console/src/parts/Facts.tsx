import { SimpleGrid, Text } from "@mantine/core";
import type { ReactNode } from "react";

/** Names with their values, in columns. */
export function Facts({ facts }: { facts: readonly (readonly [string, ReactNode])[] }) {
  return (
    <SimpleGrid cols={{ base: 2, sm: 3, md: 4 }} component="dl" m={0}>
      {facts.map(([name, value]) => (
        <div key={name}>
          <Text size="xs" c="dimmed" component="dt">
            {name}
          </Text>
          <Text size="sm" component="dd" m={0} className="verbatim figures">
            {value}
          </Text>
        </div>
      ))}
    </SimpleGrid>
  );
}
