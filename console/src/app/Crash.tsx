import { Button, Stack, Text, Title } from "@mantine/core";
import { Component, type ReactNode } from "react";

import { words } from "../i18n/language";

const useText = words({
  en: {
    title: "This page broke",
    what: "Nothing was lost at the gateway. Load the page again; if it breaks again, tell your operator what you did.",
    reload: "Load again",
  },
  zh: {
    title: "页面出错了",
    what: "网关上的数据没有丢失。请重新加载;若再次出错,请把您的操作告诉管理员。",
    reload: "重新加载",
  },
});

/** Keeps an error of a page from taking the navigation with it. */
export class Crash extends Component<{ children: ReactNode }, { broken: boolean }> {
  override state = { broken: false };

  static getDerivedStateFromError() {
    return { broken: true };
  }

  override render() {
    return this.state.broken ? <Broken /> : this.props.children;
  }
}

function Broken() {
  const text = useText();
  return (
    <Stack align="flex-start" role="alert">
      <Title order={1}>{text.title}</Title>
      <Text>{text.what}</Text>
      <Button onClick={() => window.location.reload()}>{text.reload}</Button>
    </Stack>
  );
}
