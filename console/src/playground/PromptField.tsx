import { Group, Text, Textarea } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useQuery } from "@tanstack/react-query";

import { answered, api } from "../api/client";
import { useNumbers } from "../i18n/numbers";
import { useText } from "./texts";

/** The prompt with its exact length in the model's tokens, counted by the gateway. */
export function PromptField({
  model,
  value,
  onChange,
}: {
  model: string;
  value: string;
  onChange: (prompt: string) => void;
}) {
  const text = useText();
  const numbers = useNumbers();
  const [asked] = useDebouncedValue(value, 250);
  const { data, isPlaceholderData } = useQuery({
    queryKey: ["tokens", model, asked],
    queryFn: ({ signal }) => answered(api.POST("/console/api/tokens", { body: { model, prompt: asked }, signal })),
    enabled: model !== "",
    placeholderData: keepPreviousData,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 30_000,
  });
  const stale = asked !== value || isPlaceholderData;
  const over = data !== undefined && !data.fits;
  return (
    <div>
      <Textarea
        label={text.prompt}
        placeholder={text.promptHint}
        value={value}
        onChange={(event) => onChange(event.currentTarget.value)}
        autosize
        minRows={4}
        maxRows={14}
        aria-describedby="prompt-tokens"
        error={over && !stale}
      />
      <Group justify="flex-end" mt={4}>
        <Text
          id="prompt-tokens"
          size="xs"
          c={over ? "red" : "dimmed"}
          className="figures"
          aria-live="polite"
          data-testid="tokens"
        >
          {data === undefined
            ? text.counting
            : `${text.tokens(data.tokens === null ? "∞" : numbers.number(data.tokens), numbers.number(data.tokens_max))}${
                over && data.tokens !== null
                  ? ` · ${text.tokensOver(numbers.number(data.tokens - data.tokens_max))}`
                  : ""
              }`}
        </Text>
      </Group>
    </div>
  );
}
