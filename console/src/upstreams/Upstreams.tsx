import { Alert, Anchor, Badge, Button, Collapse, Group, SimpleGrid, Skeleton, Stack, Table, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useMutation, useQuery } from "@tanstack/react-query";

import { answered, api } from "../api/client";
import type { components } from "../api/schema";
import { mayDo, useSignedIn } from "../api/session";
import { useNumbers } from "../i18n/numbers";
import { Empty } from "../parts/Empty";
import { Facts } from "../parts/Facts";
import { Failure } from "../parts/Failure";
import { PageHead } from "../parts/PageHead";
import { Section } from "../parts/Section";
import { Doubts } from "./Doubts";
import { priceInWords } from "./prices";
import { useText } from "./texts";

type Upstream = components["schemas"]["UpstreamAnswer"];
type Record24 = components["schemas"]["UpstreamRecordAnswer"];

export default function Upstreams() {
  const text = useText();
  const upstreams = useQuery({
    queryKey: ["upstreams"],
    queryFn: () => answered(api.GET("/admin/v1/upstreams")),
    refetchInterval: 5000,
  });
  const hours = useQuery({
    queryKey: ["overview"],
    queryFn: () => answered(api.GET("/admin/v1/overview", { params: { query: { hours: 24 } } })),
    refetchInterval: 15_000,
  });
  const records = new Map(hours.data?.upstreams.map((record) => [record.upstream, record]));
  const found = upstreams.data?.data;
  return (
    <>
      <PageHead title={text.title} what={text.what} />
      <Stack>
        {upstreams.error !== null && <Failure error={upstreams.error} retry={() => void upstreams.refetch()} />}
        {found === undefined ? (
          <Skeleton h={300} />
        ) : found.length === 0 ? (
          <Empty title={text.none} what={text.noneWhat} />
        ) : (
          <>
            {found
              .filter((upstream) => upstream.on)
              .map((upstream) => (
                <Card key={upstream.name} upstream={upstream} record={records.get(upstream.name)} />
              ))}
            <Doubts />
            <Off upstreams={found.filter((upstream) => !upstream.on)} />
          </>
        )}
      </Stack>
    </>
  );
}

function Card({ upstream, record }: { upstream: Upstream; record: Record24 | undefined }) {
  const text = useText();
  const numbers = useNumbers();
  const session = useSignedIn();
  const [opened, { toggle }] = useDisclosure();
  const alone = upstream.offers.filter((offer) => offer.left_alone_because !== null);
  const needs = alone.some((offer) => offer.needs_operator);
  const test = useMutation({
    mutationFn: () =>
      answered(api.POST("/admin/v1/upstreams/{name}/test", { params: { path: { name: upstream.name } } })),
  });
  const latency = record?.latency;
  const ended = record === undefined ? 0 : record.attempts - record.in_flight;
  return (
    <Section
      title={upstream.name}
      what={upstream.kind}
      actions={
        <>
          <Badge
            variant="light"
            color={needs ? "red" : alone.length > 0 ? "orange" : "teal"}
            data-testid={`upstream-${upstream.name}`}
          >
            {needs ? text.needsYou : alone.length > 0 ? text.failing : text.works}
          </Badge>
          {mayDo(session, "money") && (
            <Button
              size="xs"
              variant="default"
              title={text.testWhat}
              onClick={() => test.mutate()}
              loading={test.isPending}
            >
              {text.test}
            </Button>
          )}
        </>
      }
    >
      <Stack gap="sm">
        <Facts
          facts={[
            [text.attempts, record === undefined ? text.noTries : numbers.number(record.attempts)],
            [text.success, record === undefined || ended === 0 ? "–" : numbers.percent(record.succeeded / ended)],
            [
              text.latency,
              latency?.p50_ms == null
                ? "–"
                : `${numbers.duration(latency.p50_ms)}${latency.p95_ms === null ? "" : ` (${text.p95(numbers.duration(latency.p95_ms))})`}`,
            ],
            [
              text.inFlight,
              `${text.calls(numbers.number(upstream.calls_in_flight))} · ${numbers.usd(upstream.in_flight.usd)}`,
            ],
            [text.paid, numbers.usd(upstream.paid_this_month.usd)],
            [text.inDoubt, numbers.usd(upstream.in_doubt.usd)],
            [
              text.errors,
              record === undefined || record.faults.length === 0
                ? text.noErrors
                : record.faults.map((fault) => `${fault.fault} ${numbers.number(fault.attempts)}`).join(", "),
            ],
            ...upstream.budgets.map(
              (budget) =>
                [
                  `${budget.budget}${budget.closed ? ` (${text.closed})` : ""}`,
                  text.budget(numbers.usd(budget.used.usd), numbers.usd(budget.left.usd)),
                ] as const,
            ),
          ]}
        />
        {alone.length > 0 && (
          <Alert color={needs ? "red" : "orange"} title={text.circuits} p="xs">
            {alone.map((offer) => (
              <Text key={offer.offer} size="sm" className="verbatim">
                {offer.offer}: {offer.left_alone_because}
                {offer.reopens_in_s !== null && ` · ${text.reopens(numbers.duration(offer.reopens_in_s * 1000))}`}
              </Text>
            ))}
          </Alert>
        )}
        {test.error !== null && <Failure error={test.error} />}
        {test.data !== undefined && (
          <Alert color={test.data.passed ? "teal" : "red"} p="xs" role="status">
            <Text size="sm" className="verbatim">
              {test.data.passed ? text.passed(test.data.text) : text.failed(test.data.text)}
            </Text>
          </Alert>
        )}
        {upstream.prices.length > 0 && (
          <div>
            <Anchor component="button" type="button" size="sm" onClick={toggle} aria-expanded={opened}>
              {opened ? text.hidePrices : text.showPrices(upstream.prices.length)}
            </Anchor>
            <Collapse expanded={opened}>
              <PriceTable prices={upstream.prices} />
            </Collapse>
          </div>
        )}
      </Stack>
    </Section>
  );
}

function PriceTable({ prices }: { prices: Upstream["prices"] }) {
  const text = useText();
  const numbers = useNumbers();
  return (
    <Table.ScrollContainer minWidth={620}>
      <Table className="figures" aria-label={text.prices}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{text.model}</Table.Th>
            <Table.Th>{text.offer}</Table.Th>
            <Table.Th>{text.price}</Table.Th>
            <Table.Th>{text.source}</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {prices.map((each) => (
            <Table.Tr key={each.model + each.offer}>
              <Table.Td className="verbatim">{each.model}</Table.Td>
              <Table.Td className="verbatim">{each.offer}</Table.Td>
              <Table.Td>
                {priceInWords(each.price, text, numbers).map((line) => (
                  <Text key={line} size="sm">
                    {line}
                  </Text>
                ))}
              </Table.Td>
              <Table.Td className="verbatim">
                <Text size="xs" c="dimmed">
                  {[each.source, each.as_of].filter((part) => part !== null).join(" · ")}
                </Text>
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Off({ upstreams }: { upstreams: readonly Upstream[] }) {
  const text = useText();
  if (upstreams.length === 0) return null;
  return (
    <Section title={text.off}>
      <SimpleGrid cols={{ base: 1, sm: 2, md: 3 }}>
        {upstreams.map((upstream) => (
          <Group key={upstream.name} gap="xs" align="baseline">
            <Text size="sm" fw={500}>
              {upstream.name}
            </Text>
            <Text size="xs" c="dimmed" className="verbatim">
              {upstream.off_because}
            </Text>
          </Group>
        ))}
      </SimpleGrid>
    </Section>
  );
}
