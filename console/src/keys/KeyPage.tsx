import {
  Alert,
  Anchor,
  Badge,
  Button,
  CopyButton,
  Group,
  NumberInput,
  Skeleton,
  Stack,
  Text,
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
import { Facts } from "../parts/Facts";
import { Failure } from "../parts/Failure";
import { useNotice } from "../parts/notices";
import { PageHead } from "../parts/PageHead";
import { Section } from "../parts/Section";
import { When } from "../parts/When";
import { Window } from "../parts/Window";
import { KEY_COLORS } from "./Accounts";
import { Entries } from "./Entries";
import { Grant } from "./Grant";
import { bodyOfTerms, KeyTerms, termsOf } from "./KeyTerms";
import { type Key, useAccount, useKey } from "./queries";
import { SecretShown } from "./SecretShown";
import { useText } from "./texts";

const OVERLAP_HOURS = 24;

export default function KeyPage({ id }: { id: string }) {
  const key = useKey(id);
  if (key.error !== null && key.data === undefined)
    return <Failure error={key.error} retry={() => void key.refetch()} />;
  if (key.data === undefined) return <Skeleton h={360} />;
  return <Shown item={key.data} />;
}

function Shown({ item }: { item: Key }) {
  const text = useText();
  const numbers = useNumbers();
  const session = useSignedIn();
  const account = useAccount(item.account);
  const changes = mayDo(session, "keys") && !item.declared && item.state !== "revoked";
  return (
    <>
      <Anchor component={Link} href="/keys" size="sm">
        ← {text.back}
      </Anchor>
      <PageHead title={item.name}>
        <Badge variant="light" color={KEY_COLORS[item.state]} size="lg" data-testid="key-state">
          {text.states[item.state]}
        </Badge>
        {changes && (
          <>
            <Rotate item={item} />
            <Revoke item={item} />
          </>
        )}
      </PageHead>
      <Stack>
        {item.declared && <Alert color="blue">{text.declaredWhat}</Alert>}
        <Section title={accountName(item.account)}>
          <Stack>
            <Facts
              facts={[
                [text.org, item.org],
                [text.team, item.team ?? "–"],
                [text.begins, item.display],
                [text.lastUsed, item.used_at_ms === null ? text.never : <When key="used" ms={item.used_at_ms} />],
                [text.expires, item.expires_at_ms === null ? text.never : numbers.moment(item.expires_at_ms)],
                [
                  text.used,
                  account.data === undefined
                    ? "…"
                    : `${numbers.usd(account.data.used.usd)} · ${numbers.number(account.data.used.images)}`,
                ],
                [text.tasksOf, <TasksLink key="tasks" />],
              ]}
            />
            {item.old_until_ms !== null && <Text size="sm">{text.oldUntil(numbers.moment(item.old_until_ms))}</Text>}
            {account.data?.budgets.map((budget) => (
              <BudgetBar key={budget.budget} budget={budget} />
            ))}
            {account.data?.prepaid != null && (
              <Text size="sm" className="figures">
                {text.prepaid(
                  numbers.number(account.data.prepaid.left_credits),
                  numbers.number(account.data.prepaid.granted_credits),
                )}
              </Text>
            )}
            {mayDo(session, "money") && <Grant account={item.account} />}
          </Stack>
        </Section>
        <TermsForm key={item.id} item={item} disabled={!changes} />
        {mayDo(session, "keys") && <CallbackSecret item={item} />}
        <Entries account={item.account} />
      </Stack>
    </>
  );
}

function TasksLink() {
  const text = useText();
  return (
    <Anchor component={Link} href="/tasks" size="sm">
      {text.show}
    </Anchor>
  );
}

function TermsForm({ item, disabled }: { item: Key; disabled: boolean }) {
  const text = useText();
  const client = useQueryClient();
  const notice = useNotice();
  const [terms, setTerms] = useState(() => termsOf(item));
  const save = useMutation({
    mutationFn: () =>
      answered(
        api.PATCH("/admin/v1/keys/{key_id}", { params: { path: { key_id: item.id } }, body: bodyOfTerms(terms) }),
      ),
    onSuccess: (key) => {
      client.setQueryData(["key", item.id], key);
      void client.invalidateQueries({ queryKey: ["account", item.account] });
      void client.invalidateQueries({ queryKey: ["keys"] });
      notice(text.saved);
    },
  });
  return (
    <Section title={text.terms}>
      <Stack>
        <KeyTerms terms={terms} onChange={setTerms} disabled={disabled} />
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

function Rotate({ item }: { item: Key }) {
  const text = useText();
  const client = useQueryClient();
  const [opened, { open, close }] = useDisclosure();
  const [hours, setHours] = useState<number | string>(OVERLAP_HOURS);
  const rotate = useMutation({
    mutationFn: () =>
      answered(
        api.POST("/admin/v1/keys/{key_id}/rotate", {
          params: { path: { key_id: item.id } },
          body: { overlap_s: Math.round(Number(hours) * 3600) },
        }),
      ),
    onSuccess: () => void client.invalidateQueries({ queryKey: ["key", item.id] }),
  });
  const done = () => {
    rotate.reset();
    close();
  };
  if (rotate.data !== undefined) return <SecretShown secret={rotate.data.secret} onClose={done} />;
  return (
    <>
      <Button variant="default" onClick={open}>
        {text.rotate}
      </Button>
      {opened && (
        <Window onClose={done} title={text.rotate} closeButtonProps={{ "aria-label": text.cancel }}>
          <Stack>
            <Text size="sm">{text.rotateWhat}</Text>
            <NumberInput label={text.overlap} min={0} max={720} value={hours} onChange={setHours} />
            {rotate.error !== null && <Failure error={rotate.error} />}
            <Group justify="flex-end" gap="xs">
              <Button variant="default" onClick={done}>
                {text.cancel}
              </Button>
              <Button onClick={() => rotate.mutate()} loading={rotate.isPending}>
                {text.rotate}
              </Button>
            </Group>
          </Stack>
        </Window>
      )}
    </>
  );
}

function Revoke({ item }: { item: Key }) {
  const text = useText();
  const client = useQueryClient();
  const notice = useNotice();
  const [opened, { open, close }] = useDisclosure();
  const revoke = useMutation({
    mutationFn: () => answered(api.POST("/admin/v1/keys/{key_id}/revoke", { params: { path: { key_id: item.id } } })),
    onSuccess: (key) => {
      client.setQueryData(["key", item.id], key);
      void client.invalidateQueries({ queryKey: ["keys"] });
      notice(text.revoked);
      close();
    },
  });
  return (
    <>
      <Button variant="light" color="red" onClick={open}>
        {text.revoke}
      </Button>
      {opened && (
        <Window onClose={close} title={text.revoke} closeButtonProps={{ "aria-label": text.cancel }}>
          <Stack>
            <Text size="sm" className="verbatim">
              {text.revokeWhat(item.name)}
            </Text>
            {revoke.error !== null && <Failure error={revoke.error} />}
            <Group justify="flex-end" gap="xs">
              <Button variant="default" onClick={close}>
                {text.cancel}
              </Button>
              <Button color="red" onClick={() => revoke.mutate()} loading={revoke.isPending}>
                {text.revoke}
              </Button>
            </Group>
          </Stack>
        </Window>
      )}
    </>
  );
}

function CallbackSecret({ item }: { item: Key }) {
  const text = useText();
  const secret = useMutation({
    mutationFn: () =>
      answered(api.GET("/admin/v1/keys/{key_id}/callback-secret", { params: { path: { key_id: item.id } } })),
  });
  return (
    <Section
      title={text.callbackSecret}
      what={text.callbackSecretWhat}
      actions={
        secret.data === undefined && (
          <Button size="xs" variant="default" onClick={() => secret.mutate()} loading={secret.isPending}>
            {text.show}
          </Button>
        )
      }
    >
      {secret.error !== null && <Failure error={secret.error} />}
      {secret.data !== undefined && (
        <Group gap="xs">
          <TextInput readOnly flex={1} value={secret.data.secret} aria-label={text.callbackSecret} ff="monospace" />
          <CopyButton value={secret.data.secret}>
            {({ copied, copy }) => (
              <Button variant="default" onClick={copy}>
                {copied ? text.copied : text.copy}
              </Button>
            )}
          </CopyButton>
        </Group>
      )}
    </Section>
  );
}
