import { Badge, Table, Text } from "@mantine/core";

import { useNumbers } from "../i18n/numbers";
import { useText } from "./texts";

const COLORS: Record<string, string> = {
  succeeded: "teal",
  failed: "red",
  unknown: "orange",
  sending: "blue",
  submitted: "blue",
};

/** What both an administrator and the task's own key may know of a try; `message` is for administrators. */
export interface ShownAttempt {
  upstream: string;
  offer?: string;
  model?: string;
  n: number;
  images: number;
  state?: string;
  status?: string;
  fault: string | null;
  billed: string | null;
  cost_usd: number;
  presumed_usd?: number;
  sent_at_ms: number;
  ended_at_ms: number | null;
  last_resort?: boolean;
  message?: string | null;
}

export function AttemptTable({ attempts }: { attempts: readonly ShownAttempt[] }) {
  const text = useText();
  const numbers = useNumbers();
  return (
    <Table.ScrollContainer minWidth={720}>
      <Table className="figures" aria-label={text.attempts}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{text.offer}</Table.Th>
            <Table.Th>{text.state}</Table.Th>
            <Table.Th>{text.fault}</Table.Th>
            <Table.Th>{text.billed}</Table.Th>
            <Table.Th ta="right">{text.images}</Table.Th>
            <Table.Th ta="right">{text.cost}</Table.Th>
            <Table.Th>{text.at}</Table.Th>
            <Table.Th ta="right">{text.time}</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {attempts.map((attempt) => {
            const state = attempt.state ?? attempt.status ?? "";
            return (
              <Table.Tr key={`${attempt.offer ?? attempt.model}${attempt.sent_at_ms}`}>
                <Table.Td className="verbatim">
                  {attempt.offer ?? `${attempt.upstream}/${attempt.model ?? ""}`}
                  {attempt.last_resort === true && (
                    <Badge ml={6} variant="outline" color="orange">
                      {text.lastResort}
                    </Badge>
                  )}
                  {attempt.message != null && attempt.message !== "" && (
                    <Text size="xs" c="dimmed" className="verbatim">
                      {attempt.message}
                    </Text>
                  )}
                </Table.Td>
                <Table.Td>
                  <Badge variant="light" color={COLORS[state] ?? "gray"}>
                    {text.attemptState[state as keyof typeof text.attemptState] ?? state}
                  </Badge>
                </Table.Td>
                <Table.Td>{attempt.fault ?? "–"}</Table.Td>
                <Table.Td>
                  {attempt.billed === null
                    ? "–"
                    : (text.billedAs[attempt.billed as keyof typeof text.billedAs] ?? attempt.billed)}
                </Table.Td>
                <Table.Td ta="right">
                  {attempt.images}/{attempt.n}
                </Table.Td>
                <Table.Td ta="right">
                  {state === "unknown" && attempt.presumed_usd !== undefined
                    ? text.presumed(numbers.usd(attempt.presumed_usd))
                    : numbers.usd(attempt.cost_usd)}
                </Table.Td>
                <Table.Td>{numbers.clock(attempt.sent_at_ms)}</Table.Td>
                <Table.Td ta="right">
                  {attempt.ended_at_ms === null ? "–" : numbers.duration(attempt.ended_at_ms - attempt.sent_at_ms)}
                </Table.Td>
              </Table.Tr>
            );
          })}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
