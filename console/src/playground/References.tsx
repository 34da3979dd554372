import {
  ActionIcon,
  Alert,
  Button,
  FileButton,
  Group,
  Progress,
  SimpleGrid,
  Stack,
  Text,
  TextInput,
} from "@mantine/core";
import { IconArrowLeft, IconArrowRight, IconPhotoPlus, IconTrash } from "@tabler/icons-react";
import { useEffect, useState } from "react";

import { useNumbers } from "../i18n/numbers";
import { Failure } from "../parts/Failure";
import type { ModelCard } from "./models";
import classes from "./playground.module.css";
import { type Complaint, filesOf, sorted, TAKEN, type useReferences } from "./references";
import { useText } from "./texts";

export function References({ card, state }: { card: ModelCard; state: ReturnType<typeof useReferences> }) {
  const text = useText();
  const numbers = useNumbers();
  const { references, addFile, addUrl, remove, move } = state;
  const [over, setOver] = useState(false);
  const [url, setUrl] = useState("");
  const [complaints, setComplaints] = useState<Complaint[]>([]);
  const limits = { count: card.references_max, bytes: card.reference_bytes_max };
  const size = numbers.bytes(limits.bytes);

  const add = (files: readonly File[]) => {
    const { good, bad } = sorted(files, references.length, limits);
    setComplaints(bad);
    for (const file of good) addFile(file, file.name);
  };

  useEffect(() => {
    const paste = (event: ClipboardEvent) => {
      const files = filesOf(event.clipboardData);
      if (files.length > 0) {
        event.preventDefault();
        add(files);
      }
    };
    document.addEventListener("paste", paste);
    return () => document.removeEventListener("paste", paste);
  });

  const tell = (complaint: Complaint) =>
    complaint.kind === "type"
      ? text.badType(complaint.name)
      : complaint.kind === "size"
        ? text.badSize(complaint.name, size)
        : text.badCount(complaint.name, limits.count);

  return (
    <Stack gap="xs">
      <Text size="sm" fw={500} component="h2">
        {text.references}
      </Text>
      <FileButton onChange={add} accept={TAKEN.join(",")} multiple>
        {(props) => (
          <button
            type="button"
            {...props}
            className={classes.drop}
            data-over={over || undefined}
            onDragOver={(event) => (event.preventDefault(), setOver(true))}
            onDragLeave={() => setOver(false)}
            onDrop={(event) => {
              event.preventDefault();
              setOver(false);
              add([...event.dataTransfer.files]);
            }}
          >
            <Stack gap={2} align="center">
              <IconPhotoPlus size={22} stroke={1.5} aria-hidden />
              <Text size="sm">{text.drop}</Text>
              <Text size="xs" c="dimmed">
                {text.dropHint(limits.count, size)}
              </Text>
            </Stack>
          </button>
        )}
      </FileButton>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (url.trim() !== "" && references.length < limits.count) {
            addUrl(url.trim());
            setUrl("");
          }
        }}
      >
        <Group gap="xs" wrap="nowrap">
          <TextInput
            flex={1}
            size="xs"
            type="url"
            aria-label={text.byUrl}
            placeholder={text.byUrlHint}
            value={url}
            onChange={(event) => setUrl(event.currentTarget.value)}
            disabled={references.length >= limits.count}
          />
          <Button size="xs" variant="default" type="submit" disabled={url.trim() === ""}>
            {text.addUrl}
          </Button>
        </Group>
      </form>
      {complaints.length > 0 && (
        <Alert color="orange" role="alert" withCloseButton onClose={() => setComplaints([])} p="xs">
          {complaints.map((complaint) => (
            <Text key={complaint.name + complaint.kind} size="sm" className="verbatim">
              {tell(complaint)}
            </Text>
          ))}
        </Alert>
      )}
      {references.length > 0 && (
        <SimpleGrid cols={3} spacing="xs" component="ul" p={0} m={0} style={{ listStyle: "none" }}>
          {references.map((reference, index) => (
            <li key={reference.key} className={classes.thumb}>
              {reference.preview === "" ? (
                <div className={classes.thumbNone}>
                  <Text size="xs" c="dimmed" lineClamp={4} className="verbatim">
                    {reference.name}
                  </Text>
                </div>
              ) : (
                <img src={reference.preview} alt={text.reference(index + 1)} />
              )}
              {reference.value === null && reference.error === null && (
                <Progress
                  value={reference.sent * 100}
                  size="sm"
                  aria-label={text.uploading(numbers.percent(reference.sent))}
                />
              )}
              <Group gap={2} p={4} justify="space-between" wrap="nowrap">
                <Group gap={2} wrap="nowrap">
                  <ActionIcon
                    size="sm"
                    variant="subtle"
                    color="gray"
                    aria-label={text.earlier(reference.name)}
                    disabled={index === 0}
                    onClick={() => move(reference.key, -1)}
                  >
                    <IconArrowLeft size={14} aria-hidden />
                  </ActionIcon>
                  <ActionIcon
                    size="sm"
                    variant="subtle"
                    color="gray"
                    aria-label={text.later(reference.name)}
                    disabled={index === references.length - 1}
                    onClick={() => move(reference.key, 1)}
                  >
                    <IconArrowRight size={14} aria-hidden />
                  </ActionIcon>
                </Group>
                <ActionIcon
                  size="sm"
                  variant="subtle"
                  color="red"
                  aria-label={text.remove(reference.name)}
                  onClick={() => remove(reference.key)}
                >
                  <IconTrash size={14} aria-hidden />
                </ActionIcon>
              </Group>
            </li>
          ))}
        </SimpleGrid>
      )}
      {references.map(
        (reference) => reference.error !== null && <Failure key={reference.key} error={reference.error} />,
      )}
    </Stack>
  );
}
