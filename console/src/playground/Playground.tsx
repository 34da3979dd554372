import { Alert, Anchor, Button, Grid, Group, Kbd, Paper, Select, Skeleton, Stack, Switch, Text } from "@mantine/core";
import { useHotkeys } from "@mantine/hooks";
import { IconSparkles } from "@tabler/icons-react";
import { useEffect, useMemo, useState } from "react";

import { useSignedIn } from "../api/session";
import { SignInForm } from "../app/SignIn";
import { useNumbers } from "../i18n/numbers";
import { Empty } from "../parts/Empty";
import { Failure } from "../parts/Failure";
import { PageHead } from "../parts/PageHead";
import { bodyOf, type CallBody, fitted, streams, useDraft } from "./draft";
import { History } from "./History";
import { shownLink } from "./links";
import { MaskPainter, type PaintedMask } from "./MaskPainter";
import { type ModelCard, type ModelCards, useModels } from "./models";
import { promptsOf } from "./prompts";
import { PromptField } from "./PromptField";
import { Quote } from "./Quote";
import { References } from "./References";
import { type Reference, useReferences } from "./references";
import { Result } from "./Result";
import { useHistory, useRun } from "./runs";
import { SizePicker } from "./SizePicker";
import { useText } from "./texts";
import { upload } from "./upload";

export default function Playground() {
  const text = useText();
  const session = useSignedIn();
  const models = useModels(session.key !== null);
  if (session.key === null) {
    return (
      <>
        <PageHead title={text.title} />
        <Paper withBorder p="lg" radius="md" maw={520}>
          <Stack>
            <Text fw={600}>{text.needsKey}</Text>
            <Text size="sm" c="dimmed">
              {text.needsKeyWhat}
            </Text>
            <SignInForm label="API key" action={text.addKey} />
          </Stack>
        </Paper>
      </>
    );
  }
  if (models.error !== null) return <Failure error={models.error} retry={() => void models.refetch()} />;
  return (
    <>
      <PageHead title={text.title} />
      {models.data === undefined ? (
        <Skeleton h={420} />
      ) : models.data.data.length === 0 ? (
        <Empty title={text.noModels} what={text.noModelsWhat} />
      ) : (
        <Desk models={models.data} keyId={session.key.id} gateway={session.public_url || window.location.origin} />
      )}
    </>
  );
}

interface Made {
  body: CallBody;
  before: string | null;
}

function Desk({ models, keyId, gateway }: { models: ModelCards; keyId: string; gateway: string }) {
  const text = useText();
  const { draft, change } = useDraft();
  const card = (models.data.find((each) => each.id === draft.model) ??
    models.data.find((each) => each.id === models.default_model) ??
    models.data[0]) as ModelCard;
  const fit = useMemo(() => fitted(draft, card), [draft, card]);
  const references = useReferences();
  const mask = useMask(references.references);
  const history = useHistory();
  const { start, partial } = useRun(keyId);
  const [chosen, setChosen] = useState<string | null>(null);
  const [made, setMade] = useState<ReadonlyMap<string, Made>>(new Map());
  const prompts = useMemo(() => promptsOf(keyId), [keyId, history.data, chosen]);

  const body = bodyOf(fit, references.references, mask.value);
  const ready =
    fit.prompt.trim() !== "" &&
    !references.uploading &&
    !mask.uploading &&
    references.references.every((each) => each.error === null);
  const run = () => {
    if (!ready || start.isPending) return;
    const before = references.references[0]?.preview ?? "";
    start.mutate(
      { body, streamed: streams(fit, card) },
      {
        onSuccess: (id) => {
          setMade((all) => new Map(all).set(id, { body, before: before === "" ? null : before }));
          setChosen(id);
        },
      },
    );
  };
  useHotkeys([["mod+Enter", run]], []);

  const tasks = history.data ?? [];
  const shown = tasks.find((task) => task.id === chosen) ?? (chosen === null ? tasks[0] : undefined);

  return (
    <Grid gap="lg">
      <Grid.Col span={{ base: 12, md: 5 }}>
        <Paper withBorder p="md" radius="md" component="section" aria-label={text.prompt}>
          <Stack>
            <ModelPicker models={models} card={card} onChange={(model) => change({ model })} />
            <PromptField model={card.id} value={fit.prompt} onChange={(prompt) => change({ prompt })} />
            <SizePicker key={card.id} card={card} value={fit.size} onChange={(size) => change({ size })} />
            <Group grow align="flex-start">
              <Select
                label={text.images}
                data={card.n.map(String)}
                value={String(fit.n)}
                allowDeselect={false}
                onChange={(n) => n !== null && change({ n: Number(n) })}
              />
              <Select
                label={text.quality}
                data={card.qualities.map((quality) => ({
                  value: quality,
                  label: text.qualities[quality as keyof typeof text.qualities] ?? quality,
                }))}
                value={fit.quality}
                allowDeselect={false}
                onChange={(quality) => quality !== null && change({ quality })}
              />
              <Select
                label={text.format}
                data={[
                  { value: "", label: text.formatAny },
                  ...card.output_formats.map((format) => ({ value: format, label: format })),
                ]}
                value={fit.outputFormat ?? ""}
                allowDeselect={false}
                onChange={(format) => change({ outputFormat: format === null || format === "" ? null : format })}
              />
            </Group>
            {card.streams && (
              <Switch
                label={text.previews}
                description={fit.n > 1 ? text.previewsOnlyOne : undefined}
                checked={fit.previews}
                disabled={fit.n > 1}
                onChange={(event) => change({ previews: event.currentTarget.checked })}
              />
            )}
            {card.references_max > 0 && <References card={card} state={references} />}
            {card.masks && references.references.length > 0 && (
              <MaskChoice references={references.references} mask={mask} />
            )}
            <Quote body={body} />
            {start.error !== null && <Failure error={start.error} />}
            <Group justify="space-between" align="center">
              <Group gap={6} visibleFrom="sm">
                <Kbd>Ctrl</Kbd>/<Kbd>⌘</Kbd>+<Kbd>Enter</Kbd>
              </Group>
              <Button
                size="md"
                onClick={run}
                disabled={!ready}
                loading={start.isPending}
                leftSection={<IconSparkles size={18} aria-hidden />}
              >
                {references.references.length > 0 ? text.edit : text.generate}
              </Button>
            </Group>
          </Stack>
        </Paper>
      </Grid.Col>
      <Grid.Col span={{ base: 12, md: 7 }}>
        <Stack>
          {history.error !== null && <Failure error={history.error} retry={() => void history.refetch()} />}
          {shown === undefined ? (
            <Empty title={text.nothing} what={text.nothingWhat} />
          ) : (
            <Result
              key={shown.id}
              task={shown}
              prompt={prompts.get(shown.id)}
              body={made.get(shown.id)?.body ?? null}
              before={made.get(shown.id)?.before ?? null}
              partial={partial}
              gateway={gateway}
              onUse={(link) => references.addUrl(link, shownLink(link))}
            />
          )}
          <History tasks={tasks} prompts={prompts} chosen={shown?.id ?? null} onChoose={setChosen} />
        </Stack>
      </Grid.Col>
    </Grid>
  );
}

function ModelPicker({
  models,
  card,
  onChange,
}: {
  models: ModelCards;
  card: ModelCard;
  onChange: (model: string) => void;
}) {
  const text = useText();
  const numbers = useNumbers();
  const price =
    card.credits_per_image === null
      ? text.byCost
      : text.perImage(
          numbers.number(card.credits_per_image),
          numbers.usd(card.credits_per_image / models.credits_per_usd),
        );
  return (
    <div>
      <Select
        label={text.model}
        data={models.data.map((each) => each.id)}
        value={card.id}
        allowDeselect={false}
        searchable
        onChange={(model) => model !== null && onChange(model)}
      />
      <Text size="xs" c="dimmed" mt={4} className="figures">
        {[
          price,
          text.limits(numbers.number(card.prompt_tokens_max), card.n.at(-1) ?? 1),
          card.references_max > 0 ? text.takesReferences(card.references_max) : null,
        ]
          .filter((part) => part !== null)
          .join(" · ")}
      </Text>
    </div>
  );
}

interface MaskState {
  painted: PaintedMask | null;
  value: string | null;
  uploading: boolean;
  error: Error | null;
  use: (mask: PaintedMask) => void;
  remove: () => void;
}

/** The mask of the first reference: gone with it, uploaded as soon as it is painted. */
function useMask(references: readonly Reference[]): MaskState {
  const [painted, setPainted] = useState<PaintedMask | null>(null);
  const [value, setValue] = useState<string | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const first = references[0]?.key;
  const only = references.length === 1;

  useEffect(() => {
    setPainted(null);
    setValue(null);
    setError(null);
  }, [first]);
  useEffect(() => {
    if (painted === null) return;
    const controller = new AbortController();
    setValue(null);
    setError(null);
    upload(painted.blob, "mask.png", () => undefined, controller.signal).then(setValue, (cause: unknown) => {
      if (!controller.signal.aborted) setError(cause instanceof Error ? cause : new Error(String(cause)));
    });
    return () => controller.abort();
  }, [painted]);
  return {
    painted,
    value: only ? value : null,
    uploading: painted !== null && only && value === null && error === null,
    error,
    use: setPainted,
    remove: () => {
      setPainted(null);
      setValue(null);
      setError(null);
    },
  };
}

function MaskChoice({ references, mask }: { references: readonly Reference[]; mask: MaskState }) {
  const text = useText();
  const numbers = useNumbers();
  const [open, setOpen] = useState(false);
  const picture = references.length === 1 ? (references[0]?.preview ?? "") : "";
  if (picture === "") {
    return (
      <Text size="xs" c="dimmed">
        {text.maskOne}
      </Text>
    );
  }
  return (
    <Stack gap="xs">
      <Group gap="xs">
        <Button size="xs" variant="default" onClick={() => setOpen(true)}>
          {mask.painted === null ? text.paintMask : text.changeMask}
        </Button>
        {mask.painted !== null && (
          <>
            <Text size="xs" c="dimmed">
              {text.masked(numbers.percent(mask.painted.share))}
            </Text>
            <Anchor component="button" type="button" size="xs" onClick={mask.remove}>
              {text.removeMask}
            </Anchor>
          </>
        )}
      </Group>
      {mask.error !== null && (
        <Alert color="red" p="xs" role="alert">
          {mask.error.message}
        </Alert>
      )}
      {open && (
        <MaskPainter
          picture={picture}
          before={mask.painted?.steps ?? []}
          onClose={() => setOpen(false)}
          onUse={(painted) => {
            mask.use(painted);
            setOpen(false);
          }}
        />
      )}
    </Stack>
  );
}
