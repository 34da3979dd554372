import {
  ActionIcon,
  Anchor,
  Badge,
  Button,
  Group,
  Menu,
  Paper,
  Progress,
  SimpleGrid,
  Slider,
  Stack,
  Text,
} from "@mantine/core";
import { IconCode, IconDownload, IconPhotoUp, IconZoomIn, IconZoomOut } from "@tabler/icons-react";
import { useState } from "react";
import { Link } from "wouter";

import { Refused } from "../api/errors";
import { useNumbers } from "../i18n/numbers";
import { Failure } from "../parts/Failure";
import { StateBadge } from "../parts/StateBadge";
import { useNow } from "../parts/When";
import { Window } from "../parts/Window";
import type { CallBody } from "./draft";
import { shownLink } from "./links";
import classes from "./playground.module.css";
import { isFinal, type Partial, type Task, useCancel } from "./runs";
import { snippet, type Snippet } from "./snippets";
import { useText } from "./texts";

interface Props {
  task: Task;
  prompt: string | undefined;
  body: CallBody | null;
  partial: Partial | null;
  /** The first reference of an edit that was made on this page. */
  before: string | null;
  gateway: string;
  onUse: (link: string) => void;
}

export function Result({ task, prompt, body, partial, before, gateway, onUse }: Props) {
  const text = useText();
  const numbers = useNumbers();
  const now = useNow(1000);
  const cancel = useCancel();
  const [zoomed, setZoomed] = useState<number | null>(null);
  const expiresMs = (task.result_data?.[0]?.expires_at ?? 0) * 1000;
  const links = expiresMs > now ? (task.results ?? []).map(shownLink) : [];
  const upstream = task.attempts.find((attempt) => attempt.status === "succeeded")?.upstream;
  const used = task.usage.credits_used;

  return (
    <Paper withBorder p="md" radius="md" aria-live="polite" data-testid="result">
      <Stack>
        <Group justify="space-between" align="flex-start" wrap="nowrap">
          <Text size="sm" className="verbatim" lineClamp={3} c={prompt === undefined ? "dimmed" : undefined}>
            {prompt ?? text.promptGone}
          </Text>
          <StateBadge state={task.status} />
        </Group>
        {!isFinal(task) && (
          <Stack gap="xs">
            {partial !== null && partial.task === task.id && (
              <div className={`${classes.stage} ${classes.checkered}`}>
                <img src={partial.url} alt={text.partial(partial.index + 1)} data-testid="partial" />
              </div>
            )}
            <Progress value={task.progress} animated aria-label={text.running} />
            <Group justify="space-between">
              <Text size="sm" c="dimmed" className="figures">
                {text.elapsed(numbers.duration(Math.max(0, now - task.created * 1000)))} ·{" "}
                {text.waits(numbers.duration(task.task_info.estimated_time * 1000))}
              </Text>
              <Button
                size="xs"
                variant="default"
                onClick={() => cancel.mutate(task.id)}
                disabled={!task.task_info.can_cancel || task.task_info.cancel_requested === true}
                loading={cancel.isPending}
              >
                {task.task_info.cancel_requested === true ? text.cancelling : text.cancel}
              </Button>
            </Group>
            {cancel.error !== null && <Failure error={cancel.error} />}
          </Stack>
        )}
        {task.error != null && (
          <Failure error={new Refused(0, task.error.code, task.error.message, null, null, null)} />
        )}
        {links.length > 0 && (
          <SimpleGrid cols={links.length === 1 ? 1 : { base: 1, sm: 2 }}>
            {links.map((link, index) => (
              <Stack key={link} gap="xs">
                <div className={`${classes.stage} ${classes.checkered}`}>
                  <button
                    type="button"
                    className={classes.zoomable}
                    aria-label={`${text.open}: ${text.image(index + 1)}`}
                    onClick={() => setZoomed(index)}
                  >
                    <img src={link} alt={text.image(index + 1)} data-testid="picture" />
                  </button>
                </div>
                <Group gap="xs">
                  <Button
                    component="a"
                    href={link}
                    download={`${task.id}-${index + 1}`}
                    size="xs"
                    variant="default"
                    leftSection={<IconDownload size={14} aria-hidden />}
                  >
                    {text.download}
                  </Button>
                  <Button
                    size="xs"
                    variant="default"
                    leftSection={<IconPhotoUp size={14} aria-hidden />}
                    onClick={() => onUse(task.results?.[index] ?? link)}
                  >
                    {text.use}
                  </Button>
                </Group>
              </Stack>
            ))}
          </SimpleGrid>
        )}
        {links[0] !== undefined && before !== null && <Compare before={before} after={links[0]} />}
        <Group gap="xs" justify="space-between">
          <Group gap="xs">
            {upstream !== undefined && <Badge variant="default">{text.madeBy(upstream)}</Badge>}
            {task.status === "completed" && task.attempts.length === 0 && (
              <Badge variant="light">{text.fromCache}</Badge>
            )}
            {used != null && <Badge variant="default">{text.used(numbers.number(used))}</Badge>}
            {task.status === "completed" && (
              <Text size="xs" c="dimmed" className="figures">
                {expiresMs > now ? text.expiresIn(numbers.duration(expiresMs - now)) : text.expired}
              </Text>
            )}
          </Group>
          <Group gap="xs">
            {body !== null && <CopyMenu body={body} gateway={gateway} />}
            <Anchor component={Link} href={`/tasks/${task.id}`} size="sm">
              {text.details}
            </Anchor>
          </Group>
        </Group>
      </Stack>
      {zoomed !== null && links[zoomed] !== undefined && (
        <Zoom link={links[zoomed]} title={text.image(zoomed + 1)} onClose={() => setZoomed(null)} />
      )}
    </Paper>
  );
}

function Zoom({ link, title, onClose }: { link: string; title: string; onClose: () => void }) {
  const text = useText();
  const [percent, setPercent] = useState(100);
  return (
    <Window onClose={onClose} title={title} size="90vw" closeButtonProps={{ "aria-label": text.close }}>
      <Group mb="xs" gap="xs">
        <ActionIcon
          variant="default"
          aria-label={text.zoomOut}
          disabled={percent <= 50}
          onClick={() => setPercent(percent / 1.5)}
        >
          <IconZoomOut size={16} aria-hidden />
        </ActionIcon>
        <ActionIcon
          variant="default"
          aria-label={text.zoomIn}
          disabled={percent >= 500}
          onClick={() => setPercent(percent * 1.5)}
        >
          <IconZoomIn size={16} aria-hidden />
        </ActionIcon>
      </Group>
      <div className={`${classes.zoomScroll} ${classes.checkered}`} tabIndex={0} role="group" aria-label={title}>
        <img src={link} alt={title} style={{ width: `${percent}%`, maxWidth: "none" }} />
      </div>
    </Window>
  );
}

function Compare({ before, after }: { before: string; after: string }) {
  const text = useText();
  const [share, setShare] = useState(50);
  return (
    <Stack gap={6} data-testid="compare">
      <Text size="sm" fw={500}>
        {text.compare}
      </Text>
      <div className={classes.compare}>
        <img src={before} alt={text.reference(1)} />
        <div className={classes.compareAfter} style={{ clipPath: `inset(0 0 0 ${100 - share}%)` }}>
          <img src={after} alt={text.image(1)} />
        </div>
        <span className={classes.compareLine} style={{ left: `${100 - share}%` }} />
      </div>
      <Slider value={share} onChange={setShare} label={(value) => `${value} %`} thumbLabel={text.compareHint} />
    </Stack>
  );
}

function CopyMenu({ body, gateway }: { body: CallBody; gateway: string }) {
  const text = useText();
  const [copied, setCopied] = useState(false);
  const copy = async (kind: Snippet) => {
    await navigator.clipboard.writeText(snippet(kind, gateway, body));
    setCopied(true);
    window.setTimeout(() => setCopied(false), 2000);
  };
  return (
    <Menu>
      <Menu.Target>
        <Button size="xs" variant="default" leftSection={<IconCode size={14} aria-hidden />}>
          {copied ? text.copied : text.copy}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => void copy("curl")}>curl</Menu.Item>
        <Menu.Item onClick={() => void copy("python")}>Python</Menu.Item>
        <Menu.Item onClick={() => void copy("node")}>Node</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
