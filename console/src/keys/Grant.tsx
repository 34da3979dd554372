import { Button, Group, NumberInput, Stack, Text, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { answered, api } from "../api/client";
import { Failure } from "../parts/Failure";
import { useNotice } from "../parts/notices";
import { Window } from "../parts/Window";
import { useText } from "./texts";

/** Prepaid credits for an account, once however often the button is pressed. */
export function Grant({ account }: { account: string }) {
  const text = useText();
  const client = useQueryClient();
  const notice = useNotice();
  const [opened, { open, close }] = useDisclosure();
  const [credits, setCredits] = useState<number | string>("");
  const [why, setWhy] = useState("");
  const [id, setId] = useState(() => crypto.randomUUID());
  const grant = useMutation({
    mutationFn: () =>
      answered(
        api.POST("/admin/v1/accounts/{account}/grants", {
          params: { path: { account } },
          headers: { "Idempotency-Key": id },
          body: { credits: String(credits), why },
        }),
      ),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ["account", account] });
      void client.invalidateQueries({ queryKey: ["entries", account] });
      notice(text.granted);
      setId(crypto.randomUUID());
      setCredits("");
      setWhy("");
      close();
    },
  });
  return (
    <Group>
      <Button size="xs" variant="default" onClick={open}>
        {text.grant}
      </Button>
      {opened && (
        <Window onClose={close} title={text.grant} closeButtonProps={{ "aria-label": text.cancel }}>
          <Stack>
            <Text size="sm">{text.grantWhat}</Text>
            <NumberInput label={text.credits} value={credits} onChange={setCredits} decimalScale={6} data-autofocus />
            <TextInput
              label={text.why}
              value={why}
              onChange={(event) => setWhy(event.currentTarget.value)}
              maxLength={500}
            />
            {grant.error !== null && <Failure error={grant.error} />}
            <Group justify="flex-end" gap="xs">
              <Button variant="default" onClick={close}>
                {text.cancel}
              </Button>
              <Button onClick={() => grant.mutate()} loading={grant.isPending} disabled={credits === ""}>
                {text.grant}
              </Button>
            </Group>
          </Stack>
        </Window>
      )}
    </Group>
  );
}
