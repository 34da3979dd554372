import { Button, Center, Group, Paper, PasswordInput, Stack, Text, Title } from "@mantine/core";
import { type FormEvent, useState } from "react";

import { useSignIn } from "../api/session";
import { words } from "../i18n/language";
import { Failure } from "../parts/Failure";
import { ColorSchemeToggle, LanguageChoice } from "./Shell";

const useText = words({
  en: {
    title: "Image gateway",
    what: "Sign in with an API key to make pictures and see your own tasks, or with an admin token to run the gateway.",
    secret: "API key or admin token",
    hint: "It is sent to this gateway only, and never kept in the browser.",
    signIn: "Sign in",
  },
  zh: {
    title: "图像网关",
    what: "使用 API 密钥登录即可生成图像并查看自己的任务;使用管理令牌登录即可管理网关。",
    secret: "API 密钥或管理令牌",
    hint: "仅发送给本网关,不会保存在浏览器中。",
    signIn: "登录",
  },
});

export function SignIn() {
  const text = useText();
  return (
    <Center mih="100vh" p="md" component="main">
      <Stack w="100%" maw={420}>
        <Group justify="flex-end">
          <LanguageChoice />
          <ColorSchemeToggle />
        </Group>
        <Paper withBorder p="xl" radius="lg" shadow="sm">
          <Stack>
            <Group gap="sm">
              <img src="/console/icon.svg" alt="" width={32} height={32} />
              <Title order={1}>{text.title}</Title>
            </Group>
            <Text c="dimmed" size="sm">
              {text.what}
            </Text>
            <SignInForm />
          </Stack>
        </Paper>
      </Stack>
    </Center>
  );
}

/** Also where an administrator adds a key, to make pictures with. */
export function SignInForm({ label, action }: { label?: string; action?: string }) {
  const text = useText();
  const signIn = useSignIn();
  const [secret, setSecret] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (secret.trim() !== "") signIn.mutate(secret.trim());
  };
  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <PasswordInput
          label={label ?? text.secret}
          description={text.hint}
          value={secret}
          onChange={(event) => setSecret(event.currentTarget.value)}
          autoComplete="off"
          spellCheck={false}
          required
          data-autofocus
        />
        {signIn.error !== null && <Failure error={signIn.error} />}
        <Button type="submit" loading={signIn.isPending}>
          {action ?? text.signIn}
        </Button>
      </Stack>
    </form>
  );
}
