import { Anchor, Stack, Text, Title } from "@mantine/core";
import { Link } from "wouter";

import { words } from "../i18n/language";

const useText = words({
  en: {
    title: "No such page",
    what: "There is nothing here, or it is not for whom you are signed in as.",
    back: "To the start",
  },
  zh: { title: "没有这个页面", what: "此处没有内容,或当前登录身份无权查看。", back: "返回首页" },
});

export function NotFound() {
  const text = useText();
  return (
    <Stack align="flex-start">
      <Title order={1}>{text.title}</Title>
      <Text>{text.what}</Text>
      <Anchor component={Link} href="/">
        {text.back}
      </Anchor>
    </Stack>
  );
}
