import { Button, Group, Stack, Textarea, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";

import { answered, api } from "../api/client";
import { Failure } from "../parts/Failure";
import { useNotice } from "../parts/notices";
import { Window } from "../parts/Window";
import { linesOf } from "./lines";
import { useText } from "./texts";

/** An organisation, or a team and its organisation where that does not exist. */
export function NewAccount({ onClose }: { onClose: () => void }) {
  const text = useText();
  const client = useQueryClient();
  const notice = useNotice();
  const [org, setOrg] = useState("");
  const [team, setTeam] = useState("");
  const [budgets, setBudgets] = useState("");
  const [timezone, setTimezone] = useState("");
  const create = useMutation({
    mutationFn: () =>
      answered(
        api.POST("/admin/v1/accounts", {
          body: {
            org: org.trim(),
            ...(team.trim() === "" ? {} : { team: team.trim() }),
            budgets: linesOf(budgets),
            ...(timezone.trim() === "" ? {} : { timezone: timezone.trim() }),
          },
        }),
      ),
    onSuccess: (account) => {
      notice(text.saved, account.id);
      void client.invalidateQueries({ queryKey: ["accounts"] });
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate();
  };
  return (
    <Window onClose={onClose} title={text.newAccount} closeButtonProps={{ "aria-label": text.cancel }}>
      <form onSubmit={submit}>
        <Stack>
          <TextInput
            label={text.org}
            required
            value={org}
            onChange={(event) => setOrg(event.currentTarget.value)}
            data-autofocus
          />
          <TextInput
            label={text.team}
            placeholder={text.noTeam}
            value={team}
            onChange={(event) => setTeam(event.currentTarget.value)}
          />
          <Textarea
            label={text.budgets}
            description={text.budgetsHint}
            autosize
            minRows={2}
            value={budgets}
            onChange={(event) => setBudgets(event.currentTarget.value)}
          />
          <TextInput
            label={text.timezone}
            description={text.timezoneHint}
            placeholder="UTC"
            value={timezone}
            onChange={(event) => setTimezone(event.currentTarget.value)}
          />
          {create.error !== null && <Failure error={create.error} />}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>
              {text.cancel}
            </Button>
            <Button type="submit" loading={create.isPending}>
              {text.create}
            </Button>
          </Group>
        </Stack>
      </form>
    </Window>
  );
}
