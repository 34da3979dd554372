import { Alert, Button, Group, SegmentedControl, Slider, Stack, Switch, Text } from "@mantine/core";
import {
  IconArrowBackUp,
  IconArrowForwardUp,
  IconContrast,
  IconEraser,
  IconPaint,
  IconTrash,
} from "@tabler/icons-react";
import { type KeyboardEvent, type PointerEvent, useEffect, useRef, useState } from "react";

import { useNumbers } from "../i18n/numbers";
import { Window } from "../parts/Window";
import { cutOut, exported, paint, paintedShare, type Point, type Step } from "./mask";
import classes from "./playground.module.css";
import { useText } from "./texts";

export interface PaintedMask {
  blob: Blob;
  share: number;
  steps: Step[];
}

interface Props {
  picture: string;
  before: readonly Step[];
  onUse: (mask: PaintedMask) => void;
  onClose: () => void;
}

/** Paint what shall be made anew over a picture. The mask has the picture's own size, however large it is shown. */
export function MaskPainter({ picture, before, onUse, onClose }: Props) {
  const text = useText();
  const numbers = useNumbers();
  const canvas = useRef<HTMLCanvasElement>(null);
  const image = useRef<HTMLImageElement>(null);
  const cut = useRef<HTMLCanvasElement>(null);
  const [size, setSize] = useState<{ width: number; height: number } | null>(null);
  const [failed, setFailed] = useState(false);
  const [steps, setSteps] = useState<Step[]>([...before]);
  const [undone, setUndone] = useState<Step[]>([]);
  const [erase, setErase] = useState(false);
  const [brush, setBrush] = useState(6);
  const [preview, setPreview] = useState(false);
  const [share, setShare] = useState(0);
  const [cursor, setCursor] = useState<Point | null>(null);
  const stroke = useRef<(Step & { kind: "stroke" }) | null>(null);

  // In percent of the longer side, so that a brush feels alike on every picture.
  const radius = size === null ? 0 : (Math.max(size.width, size.height) * brush) / 200;

  useEffect(() => {
    if (canvas.current === null || size === null) return;
    paint(canvas.current, steps);
    setShare(paintedShare(canvas.current));
    if (preview && cut.current !== null && image.current !== null) cutOut(cut.current, image.current, canvas.current);
  }, [steps, size, preview]);

  const add = (step: Step) => {
    setSteps((all) => [...all, step]);
    setUndone([]);
  };

  const place = (event: PointerEvent): Point => {
    const box = event.currentTarget.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) / box.width) * (size?.width ?? 1),
      y: ((event.clientY - box.top) / box.height) * (size?.height ?? 1),
    };
  };

  const begin = (event: PointerEvent<HTMLCanvasElement>) => {
    event.currentTarget.setPointerCapture(event.pointerId);
    stroke.current = { kind: "stroke", erase, radius, points: [place(event)] };
    if (canvas.current !== null) paint(canvas.current, [...steps, stroke.current]);
  };
  const go = (event: PointerEvent<HTMLCanvasElement>) => {
    const point = place(event);
    setCursor(point);
    if (stroke.current === null || canvas.current === null) return;
    stroke.current.points.push(point);
    paint(canvas.current, [...steps, stroke.current]);
  };
  const end = () => {
    if (stroke.current !== null) add(stroke.current);
    stroke.current = null;
  };

  const key = (event: KeyboardEvent) => {
    if (size === null) return;
    const at = cursor ?? { x: size.width / 2, y: size.height / 2 };
    const way: Record<string, [number, number]> = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, -1],
      ArrowDown: [0, 1],
    };
    const move = way[event.key];
    if (move !== undefined) {
      setCursor({
        x: Math.min(size.width, Math.max(0, at.x + move[0] * radius)),
        y: Math.min(size.height, Math.max(0, at.y + move[1] * radius)),
      });
    } else if (event.key === " ") add({ kind: "stroke", erase, radius, points: [at] });
    else if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") (event.shiftKey ? redo : undo)();
    else return;
    event.preventDefault();
  };

  const undo = () => {
    const last = steps.at(-1);
    if (last === undefined) return;
    setSteps(steps.slice(0, -1));
    setUndone([...undone, last]);
  };
  const redo = () => {
    const next = undone.at(-1);
    if (next === undefined) return;
    setSteps([...steps, next]);
    setUndone(undone.slice(0, -1));
  };

  const use = async () => {
    if (canvas.current === null) return;
    const blob = await exported(canvas.current);
    if (blob === null) setFailed(true);
    else onUse({ blob, share: paintedShare(canvas.current), steps });
  };

  return (
    <Window onClose={onClose} title={text.maskTitle} size="xl" closeButtonProps={{ "aria-label": text.close }}>
      <Stack>
        <Group gap="xs">
          <SegmentedControl
            value={erase ? "eraser" : "brush"}
            onChange={(tool) => setErase(tool === "eraser")}
            data={[
              { value: "brush", label: <Tool icon={<IconPaint size={16} aria-hidden />} label={text.brush} /> },
              { value: "eraser", label: <Tool icon={<IconEraser size={16} aria-hidden />} label={text.eraser} /> },
            ]}
          />
          <Button
            variant="default"
            onClick={undo}
            disabled={steps.length === 0}
            leftSection={<IconArrowBackUp size={16} aria-hidden />}
          >
            {text.undo}
          </Button>
          <Button
            variant="default"
            onClick={redo}
            disabled={undone.length === 0}
            leftSection={<IconArrowForwardUp size={16} aria-hidden />}
          >
            {text.redo}
          </Button>
          <Button
            variant="default"
            onClick={() => add({ kind: "invert" })}
            leftSection={<IconContrast size={16} aria-hidden />}
          >
            {text.invert}
          </Button>
          <Button
            variant="default"
            onClick={() => add({ kind: "clear" })}
            leftSection={<IconTrash size={16} aria-hidden />}
          >
            {text.clear}
          </Button>
          <Switch
            label={text.preview}
            checked={preview}
            onChange={(event) => setPreview(event.currentTarget.checked)}
          />
        </Group>
        <Group gap="sm" wrap="nowrap">
          <Text size="sm" id="brush-size">
            {text.brushSize}
          </Text>
          <Slider
            flex={1}
            min={1}
            max={30}
            value={brush}
            onChange={setBrush}
            label={(value) => `${value} %`}
            thumbLabel={text.brushSize}
          />
        </Group>
        {failed && (
          <Alert color="red" role="alert">
            {text.maskFailed}
          </Alert>
        )}
        <div className={classes.checkered}>
          <div
            className={classes.canvasFrame}
            style={
              size === null
                ? undefined
                : {
                    aspectRatio: `${size.width} / ${size.height}`,
                    maxHeight: "60vh",
                    maxWidth: `calc(60vh * ${size.width / size.height})`,
                  }
            }
            onPointerLeave={() => setCursor(null)}
          >
            <img
              ref={image}
              src={picture}
              alt=""
              className={preview ? classes.unseen : undefined}
              draggable={false}
              onLoad={(event) =>
                setSize({ width: event.currentTarget.naturalWidth, height: event.currentTarget.naturalHeight })
              }
              onError={() => setFailed(true)}
            />
            {size !== null && preview && <canvas ref={cut} width={size.width} height={size.height} aria-hidden />}
            {size !== null && (
              <canvas
                ref={canvas}
                width={size.width}
                height={size.height}
                tabIndex={0}
                role="img"
                aria-label={text.maskCanvas}
                data-testid="mask-canvas"
                style={{ opacity: preview ? 0 : 0.55 }}
                onPointerDown={begin}
                onPointerMove={go}
                onPointerUp={end}
                onPointerCancel={end}
                onKeyDown={key}
              />
            )}
            {size !== null && cursor !== null && (
              <span
                className={classes.cursor}
                style={{
                  left: `${(cursor.x / size.width) * 100}%`,
                  top: `${(cursor.y / size.height) * 100}%`,
                  width: `${((radius * 2) / size.width) * 100}%`,
                  aspectRatio: "1",
                }}
              />
            )}
          </div>
        </div>
        <Group justify="space-between">
          <Text size="sm" c="dimmed" aria-live="polite">
            {share === 0 ? text.maskEmpty : text.masked(numbers.percent(share))}
          </Text>
          <Group gap="xs">
            <Button variant="default" onClick={onClose}>
              {text.maskCancel}
            </Button>
            <Button onClick={() => void use()} disabled={share === 0}>
              {text.maskUse}
            </Button>
          </Group>
        </Group>
      </Stack>
    </Window>
  );
}

function Tool({ icon, label }: { icon: React.ReactNode; label: string }) {
  return (
    <Group gap={6} wrap="nowrap" justify="center">
      {icon}
      {label}
    </Group>
  );
}
