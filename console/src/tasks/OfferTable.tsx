import { Badge, Table, Text } from "@mantine/core";

import type { components } from "../api/schema";
import { useNumbers } from "../i18n/numbers";
import { useText } from "./texts";

/** Offers in the order of the plan: what each would have cost, and why it was not to be tried. */
export function OfferTable({ offers }: { offers: readonly components["schemas"]["QuotedOfferAnswer"][] }) {
  const text = useText();
  const numbers = useNumbers();
  const usd = (value: number | null) => (value === null ? "–" : numbers.usd(value));
  return (
    <Table.ScrollContainer minWidth={560}>
      <Table className="figures" aria-label={text.plan}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{text.offer}</Table.Th>
            <Table.Th ta="right">{text.expected}</Table.Th>
            <Table.Th ta="right">{text.most}</Table.Th>
            <Table.Th>{text.verdict}</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {offers.map((offer) => (
            <Table.Tr key={`${offer.upstream}/${offer.model}`}>
              <Table.Td className="verbatim">
                {offer.upstream}/{offer.model}
              </Table.Td>
              <Table.Td ta="right">{usd(offer.expected_usd)}</Table.Td>
              <Table.Td ta="right">{usd(offer.most_usd)}</Table.Td>
              <Table.Td>
                {offer.skipped === null ? (
                  <Badge variant="light" color="teal">
                    {text.tried}
                  </Badge>
                ) : (
                  <>
                    <Badge variant="light" color="gray">
                      {text.reasons[offer.skipped.reason] ?? offer.skipped.reason}
                    </Badge>
                    {offer.skipped.message !== "" && (
                      <Text size="xs" c="dimmed" className="verbatim">
                        {offer.skipped.message}
                      </Text>
                    )}
                  </>
                )}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
