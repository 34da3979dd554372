import { Group, Input, Radio, SimpleGrid, Stack, Text, TextInput } from "@mantine/core";
import { useState } from "react";

import { isSizeTaken } from "./draft";
import type { ModelCard } from "./models";
import classes from "./playground.module.css";
import { useText } from "./texts";

const BOX = 26;

/** Width and height of a drawn shape, in a square of BOX. */
function shapeOf(size: string): { width: number; height: number } | null {
  const match = /^(\d+)[x:](\d+)$/.exec(size);
  if (match === null) return null;
  const [width, height] = [Number(match[1]), Number(match[2])];
  const scale = BOX / Math.max(width, height);
  return { width: Math.max(6, width * scale), height: Math.max(6, height * scale) };
}

export function SizePicker({
  card,
  value,
  onChange,
}: {
  card: ModelCard;
  value: string;
  onChange: (size: string) => void;
}) {
  const text = useText();
  const [free, setFree] = useState(card.sizes.includes(value) ? "" : value);
  const range = card.pixel_range;
  const bad = free !== "" && !isSizeTaken(free, card);
  return (
    <Stack gap="xs">
      <Radio.Group
        label={text.size}
        value={card.sizes.includes(value) ? value : ""}
        onChange={(size) => (setFree(""), onChange(size))}
      >
        <SimpleGrid cols={{ base: 3, xs: 4, lg: 3, xl: 4 }} spacing="xs" mt={6}>
          {card.sizes.map((size) => {
            const shape = shapeOf(size);
            return (
              <Radio.Card key={size} value={size} className={classes.size} radius="md" aria-label={size}>
                <Stack gap={4} align="center">
                  <span className={classes.shapeBox} aria-hidden>
                    <svg width={BOX + 2} height={BOX + 2} viewBox={`0 0 ${BOX + 2} ${BOX + 2}`}>
                      <rect
                        x={(BOX + 2 - (shape?.width ?? BOX)) / 2}
                        y={(BOX + 2 - (shape?.height ?? BOX)) / 2}
                        width={shape?.width ?? BOX}
                        height={shape?.height ?? BOX}
                        rx={3}
                        className={shape === null ? classes.shapeAuto : classes.shape}
                      />
                    </svg>
                  </span>
                  <Text size="xs" className="figures">
                    {size === "auto" ? text.auto : size.replace("x", "×")}
                  </Text>
                </Stack>
              </Radio.Card>
            );
          })}
        </SimpleGrid>
      </Radio.Group>
      {range !== null && (
        <Group gap="xs" align="flex-end">
          <Input.Wrapper
            label={text.otherSize}
            description={text.otherSizeHint(range.multiple_of, range.edge_max)}
            flex={1}
            size="xs"
          >
            <TextInput
              aria-label={text.otherSize}
              size="xs"
              placeholder="1600x1200"
              value={free}
              error={bad ? text.otherSizeBad : null}
              onChange={(event) => {
                const size = event.currentTarget.value.trim().replace(/[×*X]/, "x");
                setFree(size);
                if (isSizeTaken(size, card)) onChange(size);
              }}
            />
          </Input.Wrapper>
        </Group>
      )}
    </Stack>
  );
}
