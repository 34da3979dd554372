import {
  ActionIcon,
  AppShell,
  Box,
  Burger,
  Group,
  Menu,
  NavLink,
  Select,
  Text,
  useComputedColorScheme,
  useMantineColorScheme,
  VisuallyHidden,
} from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import {
  IconBrush,
  IconChartHistogram,
  IconKey,
  IconListDetails,
  IconLogout,
  IconMoon,
  IconPlugConnected,
  IconSun,
  IconUserCircle,
  IconWebhook,
} from "@tabler/icons-react";
import type { ReactNode } from "react";
import { Link, useLocation } from "wouter";

import { type Session, useSignOut } from "../api/session";
import { LANGUAGES, type Language, useLanguage, words } from "../i18n/language";

const useText = words({
  en: {
    product: "Image gateway",
    navigation: "Pages",
    open: "Open navigation",
    skip: "To the content",
    playground: "Playground",
    overview: "Overview",
    tasks: "Tasks",
    callbacks: "Callbacks",
    keys: "Keys and budgets",
    upstreams: "Upstreams",
    light: "Use light colours",
    dark: "Use dark colours",
    language: "Language",
    account: "Signed in as",
    administrator: (name: string) => `Administrator ${name}`,
    key: (name: string) => `Key ${name}`,
    forgetKey: "Put the key away",
    signOut: "Sign out",
  },
  zh: {
    product: "图像网关",
    navigation: "页面",
    open: "打开导航",
    skip: "跳到内容",
    playground: "创作台",
    overview: "总览",
    tasks: "任务",
    callbacks: "回调",
    keys: "密钥与预算",
    upstreams: "上游",
    light: "浅色模式",
    dark: "深色模式",
    language: "语言",
    account: "当前身份",
    administrator: (name: string) => `管理员 ${name}`,
    key: (name: string) => `密钥 ${name}`,
    forgetKey: "移除密钥",
    signOut: "退出登录",
  },
});

export function Shell({ session, children }: { session: Session; children: ReactNode }) {
  const text = useText();
  const [opened, { toggle, close }] = useDisclosure();
  const [path] = useLocation();
  const pages = [
    { path: "/playground", label: text.playground, Icon: IconBrush, for: true },
    { path: "/overview", label: text.overview, Icon: IconChartHistogram, for: true },
    { path: "/tasks", label: text.tasks, Icon: IconListDetails, for: true },
    { path: "/callbacks", label: text.callbacks, Icon: IconWebhook, for: session.administrator !== null },
    { path: "/keys", label: text.keys, Icon: IconKey, for: session.administrator !== null },
    { path: "/upstreams", label: text.upstreams, Icon: IconPlugConnected, for: session.administrator !== null },
  ].filter((page) => page.for);
  return (
    <AppShell
      header={{ height: 56 }}
      navbar={{ width: 216, breakpoint: "sm", collapsed: { mobile: !opened } }}
      padding="lg"
    >
      <a className="skip-link" href="#content">
        {text.skip}
      </a>
      <AppShell.Header>
        <Group h="100%" px="md" justify="space-between" wrap="nowrap">
          <Group gap="sm" wrap="nowrap">
            <Burger
              opened={opened}
              onClick={toggle}
              hiddenFrom="sm"
              size="sm"
              aria-label={text.open}
              aria-expanded={opened}
            />
            <img src="/console/icon.svg" alt="" width={26} height={26} />
            <Text fw={650} visibleFrom="xs">
              {text.product}
            </Text>
          </Group>
          <Group gap="xs" wrap="nowrap">
            <LanguageChoice />
            <ColorSchemeToggle />
            <AccountMenu session={session} />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs" aria-label={text.navigation}>
        {pages.map(({ path: href, label, Icon }) => (
          <NavLink
            key={href}
            component={Link}
            href={href}
            label={label}
            leftSection={<Icon size={18} stroke={1.7} aria-hidden />}
            active={path === href || path.startsWith(`${href}/`)}
            aria-current={path === href ? "page" : undefined}
            onClick={close}
            mb={2}
          />
        ))}
      </AppShell.Navbar>
      <AppShell.Main id="content" tabIndex={-1}>
        <Box maw="var(--content-width)" mx="auto">
          {children}
        </Box>
      </AppShell.Main>
    </AppShell>
  );
}

export function LanguageChoice() {
  const text = useText();
  const { language, choose } = useLanguage();
  return (
    <Select
      aria-label={text.language}
      size="xs"
      w={96}
      data={LANGUAGES.map(({ value, label }) => ({ value, label }))}
      value={language}
      allowDeselect={false}
      onChange={(value) => value !== null && choose(value as Language)}
    />
  );
}

export function ColorSchemeToggle() {
  const text = useText();
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme("light");
  const label = scheme === "dark" ? text.light : text.dark;
  return (
    <ActionIcon
      variant="default"
      size="lg"
      aria-label={label}
      title={label}
      onClick={() => setColorScheme(scheme === "dark" ? "light" : "dark")}
    >
      {scheme === "dark" ? <IconSun size={18} aria-hidden /> : <IconMoon size={18} aria-hidden />}
    </ActionIcon>
  );
}

function AccountMenu({ session }: { session: Session }) {
  const text = useText();
  const signOut = useSignOut();
  return (
    <Menu position="bottom-end" width={260} withinPortal>
      <Menu.Target>
        <ActionIcon variant="default" size="lg" aria-label={text.account}>
          <IconUserCircle size={20} aria-hidden />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{text.account}</Menu.Label>
        {session.administrator !== null && (
          <Menu.Item component="div" disabled>
            <span className="verbatim">{text.administrator(session.administrator.name.replace(/^token:/, ""))}</span>
          </Menu.Item>
        )}
        {session.key !== null && (
          <Menu.Item component="div" disabled>
            <span className="verbatim">{text.key(session.key.name)}</span>
            <VisuallyHidden> </VisuallyHidden>
            <Text size="xs" ff="monospace" c="dimmed">
              {session.key.display}…
            </Text>
          </Menu.Item>
        )}
        <Menu.Divider />
        {session.key !== null && session.administrator !== null && (
          <Menu.Item leftSection={<IconKey size={16} aria-hidden />} onClick={() => signOut.mutate("key")}>
            {text.forgetKey}
          </Menu.Item>
        )}
        <Menu.Item leftSection={<IconLogout size={16} aria-hidden />} onClick={() => signOut.mutate(null)}>
          {text.signOut}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
