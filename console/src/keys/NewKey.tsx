import { Autocomplete, Button, Group, SimpleGrid, Stack, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";

import { answered, api } from "../api/client";
import { Failure } from "../parts/Failure";
import { Window } from "../parts/Window";
import { bodyOfTerms, KeyTerms, NO_TERMS } from "./KeyTerms";
import { useAccounts } from "./queries";
import { SecretShown } from "./SecretShown";
import { useText } from "./texts";

/** A key; its organisation and team are made where they do not exist. */
export function NewKey({
  onClose,
  org: givenOrg = "",
  team: givenTeam = "",
}: {
  onClose: () => void;
  org?: string;
  team?: string;
}) {
  const text = useText();
  const client = useQueryClient();
  const accounts = useAccounts();
  const [org, setOrg] = useState(givenOrg);
  const [team, setTeam] = useState(givenTeam);
  const [name, setName] = useState("");
  const [terms, setTerms] = useState(NO_TERMS);
  const create = useMutation({
    mutationFn: () =>
      answered(
        api.POST("/admin/v1/keys", {
          body: {
            org: org.trim(),
            ...(team.trim() === "" ? {} : { team: team.trim() }),
            name: name.trim(),
            ...bodyOfTerms(terms),
          },
        }),
      ),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ["keys"] });
      void client.invalidateQueries({ queryKey: ["accounts"] });
    },
  });
  if (create.data !== undefined) return <SecretShown secret={create.data.secret} onClose={onClose} />;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate();
  };
  const teams = (accounts.data?.teams ?? []).filter((each) => each.parent === `org:${org.trim()}`);
  return (
    <Window onClose={onClose} title={text.newKey} size="lg" closeButtonProps={{ "aria-label": text.cancel }}>
      <form onSubmit={submit}>
        <Stack>
          <TextInput
            label={text.name}
            required
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
            data-autofocus
          />
          <SimpleGrid cols={{ base: 1, xs: 2 }}>
            <Autocomplete
              label={text.org}
              required
              data={(accounts.data?.orgs ?? []).map((each) => each.name)}
              value={org}
              onChange={setOrg}
            />
            <Autocomplete
              label={text.team}
              placeholder={text.noTeam}
              data={teams.map((each) => each.name)}
              value={team}
              onChange={setTeam}
            />
          </SimpleGrid>
          <KeyTerms terms={terms} onChange={setTerms} />
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
