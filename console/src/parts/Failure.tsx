import { Alert, Button, Group, Text } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";

import { Refused, Unreachable } from "../api/errors";
import { words } from "../i18n/language";

const useText = words({
  en: {
    refused: "The gateway refused",
    unreachable: "The gateway does not answer",
    unreachableWhat: "It may be starting or down, or your network is. Nothing you have entered is lost.",
    broke: "Something went wrong here",
    wait: (seconds: number) => `Try again in ${seconds} s.`,
    request: (id: string) => `Request ${id}`,
    retry: "Try again",
  },
  zh: {
    refused: "网关拒绝了请求",
    unreachable: "网关没有响应",
    unreachableWhat: "网关可能正在启动或已停止,也可能是网络问题。您填写的内容没有丢失。",
    broke: "出错了",
    wait: (seconds: number) => `请在 ${seconds} 秒后重试。`,
    request: (id: string) => `请求 ${id}`,
    retry: "重试",
  },
});

/** What went wrong, in the gateway's own words, which name the field and the remedy. */
export function Failure({ error, retry }: { error: Error; retry?: () => void }) {
  const text = useText();
  const refused = error instanceof Refused ? error : null;
  const title = refused !== null ? text.refused : error instanceof Unreachable ? text.unreachable : text.broke;
  const what = error instanceof Unreachable ? text.unreachableWhat : error.message;
  return (
    <Alert color="red" variant="light" icon={<IconAlertTriangle aria-hidden />} title={title} role="alert">
      <Text size="sm" className="verbatim">
        {what}
      </Text>
      {refused !== null && (
        <Text size="xs" c="dimmed" mt={4} className="verbatim">
          {[
            refused.code,
            refused.retryAfterS === null ? null : text.wait(refused.retryAfterS),
            refused.requestId === null ? null : text.request(refused.requestId),
          ]
            .filter((part) => part !== null)
            .join(" · ")}
        </Text>
      )}
      {retry !== undefined && (
        <Group mt="sm">
          <Button size="xs" variant="default" onClick={retry}>
            {text.retry}
          </Button>
        </Group>
      )}
    </Alert>
  );
}
