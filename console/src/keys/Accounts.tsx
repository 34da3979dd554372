import {
  Anchor,
  Badge,
  Button,
  Center,
  Group,
  Select,
  SimpleGrid,
  Skeleton,
  Stack,
  Table,
  Text,
  TextInput,
} from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconPlus } from "@tabler/icons-react";
import { useState } from "react";
import { Link } from "wouter";

import { mayDo, useSignedIn } from "../api/session";
import { useNumbers } from "../i18n/numbers";
import { accountName } from "../parts/accountName";
import { BudgetBar } from "../parts/BudgetBar";
import { Empty } from "../parts/Empty";
import { Failure } from "../parts/Failure";
import { PageHead } from "../parts/PageHead";
import { Section } from "../parts/Section";
import { When } from "../parts/When";
import { NewAccount } from "./NewAccount";
import { NewKey } from "./NewKey";
import { type Account, type Key, type KeyFilters, useAccounts, useKeys } from "./queries";
import { useText } from "./texts";

export const KEY_COLORS: Record<Key["state"], string> = {
  active: "teal",
  expired: "gray",
  revoked: "red",
  disabled: "orange",
};

export default function Accounts() {
  const text = useText();
  const session = useSignedIn();
  const [makingKey, makeKey] = useDisclosure();
  const [makingAccount, makeAccount] = useDisclosure();
  return (
    <>
      <PageHead title={text.title} what={text.what}>
        {mayDo(session, "money") && (
          <Button variant="default" leftSection={<IconPlus size={16} aria-hidden />} onClick={makeAccount.open}>
            {text.newAccount}
          </Button>
        )}
        {mayDo(session, "keys") && (
          <Button leftSection={<IconPlus size={16} aria-hidden />} onClick={makeKey.open}>
            {text.newKey}
          </Button>
        )}
      </PageHead>
      <Stack>
        <Tree />
        <Keys />
      </Stack>
      {makingKey && <NewKey onClose={makeKey.close} />}
      {makingAccount && <NewAccount onClose={makeAccount.close} />}
    </>
  );
}

function Tree() {
  const text = useText();
  const { data, error, refetch } = useAccounts();
  return (
    <Section title={text.accounts}>
      {error !== null && <Failure error={error} retry={() => void refetch()} />}
      {data === undefined ? (
        <Skeleton h={120} />
      ) : data.orgs.length === 0 ? (
        <Empty title={text.noAccounts} what={text.noAccountsWhat} />
      ) : (
        <SimpleGrid cols={{ base: 1, md: 2, lg: 3 }}>
          {[...data.orgs, ...data.teams]
            .sort((a, b) => accountName(a.id).localeCompare(accountName(b.id)))
            .slice(0, 60)
            .map((account) => (
              <AccountCard key={account.id} account={account} />
            ))}
        </SimpleGrid>
      )}
    </Section>
  );
}

function AccountCard({ account }: { account: Account }) {
  const text = useText();
  const numbers = useNumbers();
  return (
    <Stack gap={6} data-testid={`account-${account.id}`}>
      <Group gap="xs">
        <Anchor component={Link} href={`/keys/account/${encodeURIComponent(account.id)}`} fw={600} className="verbatim">
          {accountName(account.id)}
        </Anchor>
        <Badge variant="default">{account.kind === "org" ? text.org : text.team}</Badge>
        {account.disabled && <Badge color="red">{text.states.disabled}</Badge>}
      </Group>
      <Text size="xs" c="dimmed" className="figures">
        {text.used} {numbers.usd(account.used.usd)}
        {account.held.usd > 0 && ` · ${text.held} ${numbers.usd(account.held.usd)}`}
      </Text>
      {account.budgets.map((budget) => (
        <BudgetBar key={budget.budget} budget={budget} />
      ))}
      {account.prepaid !== null && (
        <Text size="xs" className="figures">
          {text.prepaid(numbers.number(account.prepaid.left_credits), numbers.number(account.prepaid.granted_credits))}
        </Text>
      )}
      {account.budgets.length === 0 && account.prepaid === null && (
        <Text size="xs" c="dimmed">
          {text.noBudget}
        </Text>
      )}
    </Stack>
  );
}

function Keys() {
  const text = useText();
  const [filters, setFilters] = useState<KeyFilters>({ org: "", team: "", state: "active" });
  const [name, setName] = useState("");
  const accounts = useAccounts();
  const keys = useKeys(filters);
  const orgs = accounts.data?.orgs ?? [];
  const teams = (accounts.data?.teams ?? []).filter((team) => team.parent === `org:${filters.org}`);
  const found = keys.data?.pages
    .flatMap((page) => page.data)
    .filter((key) => name === "" || key.name.toLowerCase().includes(name.toLowerCase()));
  return (
    <Section title={text.keys}>
      <Stack>
        <Group gap="xs" align="flex-end">
          <TextInput label={text.find} w={190} value={name} onChange={(event) => setName(event.currentTarget.value)} />
          <Select
            label={text.org}
            w={170}
            clearable
            searchable
            placeholder={text.any}
            data={orgs.map((org) => org.name)}
            value={filters.org === "" ? null : filters.org}
            onChange={(org) => setFilters({ ...filters, org: org ?? "", team: "" })}
          />
          <Select
            label={text.team}
            w={170}
            clearable
            searchable
            placeholder={text.any}
            disabled={filters.org === ""}
            data={teams.map((team) => team.name)}
            value={filters.team === "" ? null : filters.team}
            onChange={(team) => setFilters({ ...filters, team: team ?? "" })}
          />
          <Select
            label={text.state}
            w={150}
            clearable
            placeholder={text.any}
            data={(["active", "expired", "revoked", "disabled"] as const).map((value) => ({
              value,
              label: text.states[value],
            }))}
            value={filters.state}
            onChange={(state) => setFilters({ ...filters, state: state as Key["state"] | null })}
          />
        </Group>
        {keys.error !== null && <Failure error={keys.error} retry={() => void keys.refetch()} />}
        {found === undefined ? (
          <Skeleton h={200} />
        ) : found.length === 0 && !keys.hasNextPage ? (
          <Empty title={text.none} what={text.noneWhat} />
        ) : (
          <KeyTable keys={found} />
        )}
        {keys.hasNextPage && (
          <Center>
            <Button variant="default" loading={keys.isFetchingNextPage} onClick={() => void keys.fetchNextPage()}>
              {text.more}
            </Button>
          </Center>
        )}
      </Stack>
    </Section>
  );
}

function KeyTable({ keys }: { keys: readonly Key[] }) {
  const text = useText();
  return (
    <Table.ScrollContainer minWidth={720}>
      <Table highlightOnHover className="figures" aria-label={text.keys}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{text.name}</Table.Th>
            <Table.Th>{text.state}</Table.Th>
            <Table.Th>{text.org}</Table.Th>
            <Table.Th>{text.team}</Table.Th>
            <Table.Th>{text.budgets}</Table.Th>
            <Table.Th>{text.begins}</Table.Th>
            <Table.Th>{text.lastUsed}</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {keys.map((key) => (
            <Table.Tr key={key.id}>
              <Table.Td className="verbatim">
                <Anchor component={Link} href={`/keys/${encodeURIComponent(key.id)}`} size="sm">
                  {key.name}
                </Anchor>
              </Table.Td>
              <Table.Td>
                <Badge variant="light" color={KEY_COLORS[key.state]}>
                  {text.states[key.state]}
                </Badge>
              </Table.Td>
              <Table.Td className="verbatim">{key.org}</Table.Td>
              <Table.Td className="verbatim">{key.team ?? "–"}</Table.Td>
              <Table.Td className="verbatim">{key.budgets.length === 0 ? "–" : key.budgets.join(", ")}</Table.Td>
              <Table.Td ff="monospace">{key.display}</Table.Td>
              <Table.Td>{key.used_at_ms === null ? text.never : <When ms={key.used_at_ms} />}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
