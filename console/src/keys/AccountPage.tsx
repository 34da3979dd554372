import {
  Alert,
  Anchor,
  Button,
  Checkbox,
  Group,
  NumberInput,
  SimpleGrid,
  Skeleton,
  Stack,
  Text,
  Textarea,
  TextInput,
} from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";

import { answered, api } from "../api/client";
import { mayDo, useSignedIn } from "../api/session";
import { useNumbers } from "../i18n/numbers";
import { accountName } from "../parts/accountName";
import { BudgetBar } from "../parts/BudgetBar";
import { Failure } from "../parts/Failure";
import { useNotice } from "../parts/notices";
import { PageHead } from "../parts/PageHead";
import { Section } from "../parts/Section";
import { Entries } from "./Entries";
import { Grant } from "./Grant";
import { linesOf, numberOf } from "./lines";
import { NewKey } from "./NewKey";
import { type Account, useAccount } from "./queries";
import { useText } from "./texts";

export default function AccountPage({ id }: { id: string }) {
  const account = useAccount(id);
  if (account.error !== null && account.data === undefined)
    return <Failure error={account.error} retry={() => void account.refetch()} />;
  if (account.data === undefined) return <Skeleton h={360} />;
  return <Shown account={account.data} />;
}

function Shown({ account }: { account: Account }) {
  const text = useText();
  const numbers = useNumbers();
  const session = useSignedIn();
  const [making, { open, close }] = useDisclosure();
  const [org, team] = accountName(account.id).split("/");
  return (
    <>
      <Anchor component={Link} href="/keys" size="sm">
        ← {text.back}
      </Anchor>
      <PageHead title={accountName(account.id)} what={account.kind === "org" ? text.org : text.team}>
        {mayDo(session, "keys") && (
          <Button variant="default" onClick={open}>
            {text.newKey}
          </Button>
        )}
      </PageHead>
      <Stack>
        {account.declared && <Alert color="blue">{text.declaredWhat}</Alert>}
        <Section title={text.budgets}>
          <Stack>
            <Text size="sm" className="figures">
              {text.used} {numbers.usd(account.used.usd)} · {text.creditsOf(numbers.number(account.used.credits))} ·{" "}
              {text.held} {numbers.usd(account.held.usd)}
            </Text>
            {account.budgets.map((budget) => (
              <BudgetBar key={budget.budget} budget={budget} />
            ))}
            {account.prepaid !== null && (
              <Text size="sm" className="figures">
                {text.prepaid(
                  numbers.number(account.prepaid.left_credits),
                  numbers.number(account.prepaid.granted_credits),
                )}
              </Text>
            )}
            {mayDo(session, "money") && <Grant account={account.id} />}
          </Stack>
        </Section>
        <Terms key={account.id} account={account} disabled={!mayDo(session, "money") || account.declared} />
        <Entries account={account.id} />
      </Stack>
      {making && <NewKey onClose={close} org={org} team={team} />}
    </>
  );
}

const all = (names: readonly string[]) => (names.length === 1 && names[0] === "*" ? "" : names.join("\n"));

function Terms({ account, disabled }: { account: Account; disabled: boolean }) {
  const text = useText();
  const client = useQueryClient();
  const notice = useNotice();
  const { limits } = account;
  const [budgets, setBudgets] = useState(account.budgets.map((budget) => budget.budget).join("\n"));
  const [timezone, setTimezone] = useState(account.timezone);
  const [markup, setMarkup] = useState<number | string>(account.markup ?? "");
  const [rpm, setRpm] = useState<number | string>(limits.rpm ?? "");
  const [concurrency, setConcurrency] = useState<number | string>(limits.concurrency ?? "");
  const [nMax, setNMax] = useState<number | string>(limits.n_max ?? "");
  const [models, setModels] = useState(all(limits.models));
  const [sizes, setSizes] = useState(all(limits.sizes));
  const [off, setOff] = useState(account.disabled);
  const orNull = (lines: string[]) => (lines.length === 0 ? null : lines);
  const save = useMutation({
    mutationFn: () =>
      answered(
        api.PATCH("/admin/v1/accounts/{account}", {
          params: { path: { account: account.id } },
          body: {
            budgets: linesOf(budgets),
            timezone,
            limits: {
              rpm: numberOf(rpm),
              concurrency: numberOf(concurrency),
              n_max: numberOf(nMax),
              models: orNull(linesOf(models)),
              sizes: orNull(linesOf(sizes)),
            },
            disabled: off,
            ...(account.kind === "org" ? { markup: markup === "" ? null : String(markup) } : {}),
          },
        }),
      ),
    onSuccess: (changed) => {
      client.setQueryData(["account", account.id], changed);
      void client.invalidateQueries({ queryKey: ["accounts"] });
      notice(text.saved);
    },
  });
  return (
    <Section title={text.terms}>
      <Stack>
        <Textarea
          label={text.budgets}
          description={text.budgetsHint}
          autosize
          minRows={2}
          value={budgets}
          disabled={disabled}
          onChange={(event) => setBudgets(event.currentTarget.value)}
        />
        <SimpleGrid cols={{ base: 1, xs: 3 }}>
          <NumberInput
            label={text.rpm}
            min={1}
            allowDecimal={false}
            value={rpm}
            disabled={disabled}
            onChange={setRpm}
          />
          <NumberInput
            label={text.concurrency}
            min={1}
            allowDecimal={false}
            value={concurrency}
            disabled={disabled}
            onChange={setConcurrency}
          />
          <NumberInput
            label={text.nMax}
            min={1}
            allowDecimal={false}
            value={nMax}
            disabled={disabled}
            onChange={setNMax}
          />
        </SimpleGrid>
        <SimpleGrid cols={{ base: 1, xs: 2 }}>
          <Textarea
            label={text.models}
            description={text.modelsHint}
            autosize
            minRows={1}
            value={models}
            disabled={disabled}
            onChange={(event) => setModels(event.currentTarget.value)}
          />
          <Textarea
            label={text.sizes}
            description={text.sizesHint}
            autosize
            minRows={1}
            value={sizes}
            disabled={disabled}
            onChange={(event) => setSizes(event.currentTarget.value)}
          />
          <TextInput
            label={text.timezone}
            description={text.timezoneHint}
            value={timezone}
            disabled={disabled}
            onChange={(event) => setTimezone(event.currentTarget.value)}
          />
          {account.kind === "org" && (
            <NumberInput
              label={text.markup}
              description={text.markupHint}
              min={0}
              value={markup}
              disabled={disabled}
              onChange={setMarkup}
            />
          )}
        </SimpleGrid>
        <Checkbox
          label={text.disabled}
          checked={off}
          disabled={disabled}
          onChange={(event) => setOff(event.currentTarget.checked)}
        />
        {save.error !== null && <Failure error={save.error} />}
        <Group justify="flex-end">
          <Button onClick={() => save.mutate()} loading={save.isPending} disabled={disabled}>
            {text.save}
          </Button>
        </Group>
      </Stack>
    </Section>
  );
}
