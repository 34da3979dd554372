import { Checkbox, NumberInput, Select, SimpleGrid, Stack, Textarea, TextInput } from "@mantine/core";

import type { components } from "../api/schema";
import { linesOf, numberOf } from "./lines";
import type { Key } from "./queries";
import { useText } from "./texts";

/** A key's terms as a form has them: texts, until they are sent. */
export interface Terms {
  budgets: string;
  models: string;
  sizes: string;
  nMax: number | string;
  rpm: number | string;
  concurrency: number | string;
  response: string;
  expires: string;
  chooseUpstream: boolean;
  cache: boolean;
}

export const NO_TERMS: Terms = {
  budgets: "",
  models: "",
  sizes: "",
  nMax: "",
  rpm: "",
  concurrency: "",
  response: "",
  expires: "",
  chooseUpstream: false,
  cache: true,
};

const all = (names: readonly string[]) => (names.length === 1 && names[0] === "*" ? "" : names.join("\n"));

export function termsOf(key: Key): Terms {
  return {
    budgets: key.budgets.join("\n"),
    models: all(key.models),
    sizes: all(key.sizes),
    nMax: key.n_max ?? "",
    rpm: key.rpm ?? "",
    concurrency: key.concurrency ?? "",
    response: key.response ?? "",
    expires: key.expires_at_ms === null ? "" : localMoment(key.expires_at_ms),
    chooseUpstream: key.choose_upstream,
    cache: key.cache,
  };
}

/** As `<input type="datetime-local">` has it. */
function localMoment(ms: number): string {
  return new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** The body's part; null takes a limit away. */
export function bodyOfTerms(terms: Terms): components["schemas"]["KeyChangeBody"] {
  const models = linesOf(terms.models);
  const sizes = linesOf(terms.sizes);
  return {
    budgets: linesOf(terms.budgets),
    models: models.length === 0 ? null : models,
    sizes: sizes.length === 0 ? null : sizes,
    n_max: numberOf(terms.nMax),
    rpm: numberOf(terms.rpm),
    concurrency: numberOf(terms.concurrency),
    response: terms.response === "" ? null : (terms.response as "task" | "image"),
    expires_at_ms: terms.expires === "" ? null : new Date(terms.expires).getTime(),
    choose_upstream: terms.chooseUpstream,
    cache: terms.cache,
  };
}

export function KeyTerms({
  terms,
  onChange,
  disabled,
}: {
  terms: Terms;
  onChange: (terms: Terms) => void;
  disabled?: boolean;
}) {
  const text = useText();
  const set = (part: Partial<Terms>) => onChange({ ...terms, ...part });
  return (
    <Stack>
      <Textarea
        label={text.budgets}
        description={text.budgetsHint}
        autosize
        minRows={2}
        value={terms.budgets}
        disabled={disabled}
        onChange={(event) => set({ budgets: event.currentTarget.value })}
      />
      <SimpleGrid cols={{ base: 1, xs: 3 }}>
        <NumberInput
          label={text.rpm}
          min={1}
          allowDecimal={false}
          value={terms.rpm}
          disabled={disabled}
          onChange={(rpm) => set({ rpm })}
        />
        <NumberInput
          label={text.concurrency}
          min={1}
          allowDecimal={false}
          value={terms.concurrency}
          disabled={disabled}
          onChange={(concurrency) => set({ concurrency })}
        />
        <NumberInput
          label={text.nMax}
          min={1}
          allowDecimal={false}
          value={terms.nMax}
          disabled={disabled}
          onChange={(nMax) => set({ nMax })}
        />
      </SimpleGrid>
      <SimpleGrid cols={{ base: 1, xs: 2 }}>
        <Textarea
          label={text.models}
          description={text.modelsHint}
          autosize
          minRows={1}
          maxRows={6}
          value={terms.models}
          disabled={disabled}
          onChange={(event) => set({ models: event.currentTarget.value })}
        />
        <Textarea
          label={text.sizes}
          description={text.sizesHint}
          autosize
          minRows={1}
          maxRows={6}
          value={terms.sizes}
          disabled={disabled}
          onChange={(event) => set({ sizes: event.currentTarget.value })}
        />
      </SimpleGrid>
      <SimpleGrid cols={{ base: 1, xs: 2 }}>
        <Select
          label={text.response}
          allowDeselect={false}
          data={[
            { value: "", label: text.responses.any },
            { value: "task", label: text.responses.task },
            { value: "image", label: text.responses.image },
          ]}
          value={terms.response}
          disabled={disabled}
          onChange={(response) => set({ response: response ?? "" })}
        />
        <TextInput
          type="datetime-local"
          label={text.expires}
          value={terms.expires}
          disabled={disabled}
          onChange={(event) => set({ expires: event.currentTarget.value })}
        />
      </SimpleGrid>
      <Checkbox
        label={text.chooseUpstream}
        checked={terms.chooseUpstream}
        disabled={disabled}
        onChange={(event) => set({ chooseUpstream: event.currentTarget.checked })}
      />
      <Checkbox
        label={text.cache}
        checked={terms.cache}
        disabled={disabled}
        onChange={(event) => set({ cache: event.currentTarget.checked })}
      />
    </Stack>
  );
}
