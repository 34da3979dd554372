import { Group, Paper, Stack, Text, UnstyledButton } from "@mantine/core";

import { useNumbers } from "../i18n/numbers";
import { StateBadge } from "../parts/StateBadge";
import { useNow, When } from "../parts/When";
import { shownLink } from "./links";
import classes from "./playground.module.css";
import { isFinal, type Task } from "./runs";
import { useText } from "./texts";

interface Props {
  tasks: readonly Task[];
  prompts: ReadonlyMap<string, string>;
  chosen: string | null;
  onChoose: (id: string) => void;
}

/** The last tasks of this key, with how long their links still live. */
export function History({ tasks, prompts, chosen, onChoose }: Props) {
  const text = useText();
  const numbers = useNumbers();
  const now = useNow(1000);
  const running = tasks.filter((task) => !isFinal(task)).length;
  const completed = tasks.filter((task) => task.status === "completed").length;
  return (
    <Paper withBorder p="md" radius="md" component="section" aria-labelledby="history">
      <Group justify="space-between" mb="xs">
        <Text fw={600} id="history" component="h2" size="md">
          {text.history}
        </Text>
        <Text size="xs" c="dimmed" className="figures" data-testid="counts">
          {text.historyCount(running, completed)}
        </Text>
      </Group>
      {tasks.length === 0 ? (
        <Text size="sm" c="dimmed">
          {text.historyEmpty}
        </Text>
      ) : (
        <Stack gap={2} component="ul" p={0} m={0} style={{ listStyle: "none" }}>
          {tasks.map((task) => {
            const prompt = prompts.get(task.id);
            const expiresMs = (task.result_data?.[0]?.expires_at ?? 0) * 1000;
            const live = expiresMs > now;
            const link = live ? task.results?.[0] : undefined;
            return (
              <li key={task.id}>
                <UnstyledButton
                  className={classes.past}
                  aria-pressed={chosen === task.id}
                  onClick={() => onChoose(task.id)}
                >
                  <Group gap="sm" wrap="nowrap">
                    {link === undefined ? (
                      <span className={`${classes.pastImage} ${classes.checkered}`} />
                    ) : (
                      <img className={classes.pastImage} src={shownLink(link)} alt="" loading="lazy" />
                    )}
                    <Stack gap={2} miw={0} flex={1}>
                      <Text
                        size="sm"
                        lineClamp={2}
                        className="verbatim"
                        c={prompt === undefined ? "dimmed" : undefined}
                      >
                        {prompt ?? task.id}
                      </Text>
                      <Group gap="xs">
                        <StateBadge state={task.status} />
                        <Text size="xs" c="dimmed" className="figures">
                          {task.status === "completed" ? (
                            live ? (
                              text.expiresIn(numbers.duration(expiresMs - now))
                            ) : (
                              text.expired
                            )
                          ) : (
                            <When ms={task.created * 1000} />
                          )}
                        </Text>
                      </Group>
                    </Stack>
                  </Group>
                </UnstyledButton>
              </li>
            );
          })}
        </Stack>
      )}
      <Text size="xs" c="dimmed" mt="xs">
        {text.historyKept}
      </Text>
    </Paper>
  );
}
