/** One entry a line; empty lines are none. */
export function linesOf(text: string): string[] {
  return text
    .split(/[\n,]/)
    .map((line) => line.trim())
    .filter((line) => line !== "");
}

/** A whole number of a form; null where the field is empty. */
export function numberOf(value: number | string): number | null {
  return value === "" || value === undefined ? null : Number(value);
}
