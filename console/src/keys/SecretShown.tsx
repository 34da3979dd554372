import { Alert, Button, CopyButton, Group, Stack, TextInput } from "@mantine/core";
import { Window } from "../parts/Window";

import { useText } from "./texts";

/** A secret that is shown once; the window closes only by saying that it was kept. */
export function SecretShown({ secret, onClose }: { secret: string; onClose: () => void }) {
  const text = useText();
  return (
    <Window
      onClose={onClose}
      title={text.secretTitle}
      closeOnClickOutside={false}
      closeOnEscape={false}
      withCloseButton={false}
      size="lg"
    >
      <Stack>
        <Alert color="orange">{text.secretWhat}</Alert>
        <TextInput
          readOnly
          value={secret}
          aria-label={text.secretTitle}
          ff="monospace"
          data-testid="secret"
          onFocus={(event) => event.currentTarget.select()}
        />
        <Group justify="flex-end" gap="xs">
          <CopyButton value={secret}>
            {({ copied, copy }) => (
              <Button variant="default" onClick={copy}>
                {copied ? text.copied : text.copy}
              </Button>
            )}
          </CopyButton>
          <Button onClick={onClose}>{text.done}</Button>
        </Group>
      </Stack>
    </Window>
  );
}
