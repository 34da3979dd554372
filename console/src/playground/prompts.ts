// Prompts of the last tasks, in this browser alone: the gateway does not give them out again.
const KEPT = "igw-prompts";
const PROMPTS_MAX = 40;
const CHARS_MAX = 20_000;

type Kept = { key: string; task: string; prompt: string };

function all(): Kept[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(KEPT) ?? "[]");
    return Array.isArray(found) ? (found as Kept[]) : [];
  } catch {
    return [];
  }
}

export function rememberPrompt(key: string, task: string, prompt: string): void {
  const kept = [{ key, task, prompt: prompt.slice(0, CHARS_MAX) }, ...all().filter((each) => each.task !== task)];
  try {
    localStorage.setItem(KEPT, JSON.stringify(kept.slice(0, PROMPTS_MAX)));
  } catch {
    localStorage.removeItem(KEPT);
  }
}

/** Of a key's tasks, by their ids. */
export function promptsOf(key: string): Map<string, string> {
  return new Map(
    all()
      .filter((each) => each.key === key)
      .map((each) => [each.task, each.prompt]),
  );
}
