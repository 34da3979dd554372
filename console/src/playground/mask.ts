// The strokes of a mask and the picture they make: what was painted is transparent there, and made anew.

export interface Point {
  x: number;
  y: number;
}

/** In the picture's own pixels. `erase`: takes paint away. */
export type Step =
  { kind: "stroke"; erase: boolean; radius: number; points: Point[] } | { kind: "invert" } | { kind: "clear" };

/** Paints all steps into a canvas of the picture's size: opaque where the picture is to be made anew. */
export function paint(canvas: HTMLCanvasElement, steps: readonly Step[]): void {
  const context = canvas.getContext("2d");
  if (context === null) return;
  context.globalCompositeOperation = "source-over";
  context.clearRect(0, 0, canvas.width, canvas.height);
  for (const step of steps) {
    if (step.kind === "stroke") stroke(context, step);
    else if (step.kind === "clear") context.clearRect(0, 0, canvas.width, canvas.height);
    else invert(context, canvas);
  }
}

function stroke(context: CanvasRenderingContext2D, step: Step & { kind: "stroke" }): void {
  const first = step.points[0];
  if (first === undefined) return;
  context.globalCompositeOperation = step.erase ? "destination-out" : "source-over";
  context.strokeStyle = context.fillStyle = "#000";
  context.lineCap = context.lineJoin = "round";
  context.lineWidth = step.radius * 2;
  context.beginPath();
  if (step.points.length === 1) {
    context.arc(first.x, first.y, step.radius, 0, Math.PI * 2);
    context.fill();
  } else {
    context.moveTo(first.x, first.y);
    for (const point of step.points.slice(1)) context.lineTo(point.x, point.y);
    context.stroke();
  }
  context.globalCompositeOperation = "source-over";
}

function invert(context: CanvasRenderingContext2D, canvas: HTMLCanvasElement): void {
  // What is painted goes, what is not is painted: an opaque square with the paint cut out of it.
  context.globalCompositeOperation = "source-out";
  context.fillStyle = "#000";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.globalCompositeOperation = "source-over";
}

/** Draws the picture with the painted part cut out, as the upstream sees what it has to fill. */
export function cutOut(target: HTMLCanvasElement, picture: CanvasImageSource, painted: HTMLCanvasElement): void {
  const context = target.getContext("2d");
  if (context === null) return;
  context.globalCompositeOperation = "copy";
  context.drawImage(picture, 0, 0, target.width, target.height);
  context.globalCompositeOperation = "destination-out";
  context.drawImage(painted, 0, 0);
}

/** A PNG of the picture's size: white, and transparent where it was painted. Null where nothing was, or the browser cannot. */
export async function exported(painted: HTMLCanvasElement): Promise<Blob | null> {
  const canvas = document.createElement("canvas");
  canvas.width = painted.width;
  canvas.height = painted.height;
  const context = canvas.getContext("2d");
  if (context === null) return null;
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.globalCompositeOperation = "destination-out";
  context.drawImage(painted, 0, 0);
  sharpen(context, canvas);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

/** Without half-transparent edges: a pixel is to be made anew, or it is not. */
function sharpen(context: CanvasRenderingContext2D, canvas: HTMLCanvasElement): void {
  const image = context.getImageData(0, 0, canvas.width, canvas.height);
  for (let at = 0; at < image.data.length; at += 4) {
    const kept = (image.data[at + 3] ?? 0) > 127 ? 255 : 0;
    image.data[at] = image.data[at + 1] = image.data[at + 2] = 255;
    image.data[at + 3] = kept;
  }
  context.putImageData(image, 0, 0);
}

/** Which share of the picture is painted, from a look at every sixteenth pixel or so. */
export function paintedShare(canvas: HTMLCanvasElement): number {
  const small = document.createElement("canvas");
  small.width = Math.min(128, canvas.width);
  small.height = Math.max(1, Math.round((small.width * canvas.height) / canvas.width));
  const context = small.getContext("2d", { willReadFrequently: true });
  if (context === null) return 0;
  context.drawImage(canvas, 0, 0, small.width, small.height);
  const { data } = context.getImageData(0, 0, small.width, small.height);
  let painted = 0;
  for (let at = 3; at < data.length; at += 4) if ((data[at] ?? 0) > 127) painted += 1;
  return painted / (small.width * small.height);
}
