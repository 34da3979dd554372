// The same call from a shell, Python and Node. Texts are quoted for their language, so that a prompt cannot become code.
import type { CallBody } from "./draft";

export type Snippet = "curl" | "python" | "node";

const TASK_ONLY = new Set(["stream", "partial_images"]);

function pythonOf(value: unknown): string {
  if (value === true) return "True";
  if (value === false) return "False";
  if (value === null || value === undefined) return "None";
  if (Array.isArray(value)) return `[${value.map(pythonOf).join(", ")}]`;
  return JSON.stringify(value);
}

/** `'` ends a shell's quoting; everything else in it is itself. */
function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

export function snippet(kind: Snippet, gateway: string, body: CallBody): string {
  const fields = Object.entries(body).filter(([name, value]) => !TASK_ONLY.has(name) && value != null);
  const base = gateway.replace(/\/$/, "");
  if (kind === "curl") {
    const json = JSON.stringify(Object.fromEntries(fields), null, 2);
    return [
      `curl ${shellQuoted(`${base}/v1/images/generations`)} \\`,
      `  -H "Authorization: Bearer $GATEWAY_API_KEY" -H 'Content-Type: application/json' \\`,
      `  -d ${shellQuoted(json)}`,
    ].join("\n");
  }
  const ours = fields.filter(([name]) => name === "image_urls" || name === "mask_url");
  const theirs = fields.filter(([name]) => name !== "image_urls" && name !== "mask_url");
  if (kind === "python") {
    const extra = `{${ours.map(([name, value]) => `${JSON.stringify(name)}: ${pythonOf(value)}`).join(", ")}}`;
    return [
      "import os",
      "from openai import OpenAI",
      "",
      `client = OpenAI(base_url=${JSON.stringify(`${base}/v1`)}, api_key=os.environ["GATEWAY_API_KEY"])`,
      "answer = client.images.generate(",
      ...theirs.map(([name, value]) => `    ${name}=${pythonOf(value)},`),
      ...(ours.length === 0 ? [] : [`    extra_body=${extra},`]),
      ")",
      "print(answer.data[0].url)",
    ].join("\n");
  }
  return [
    'import OpenAI from "openai";',
    "",
    `const client = new OpenAI({ baseURL: ${JSON.stringify(`${base}/v1`)}, apiKey: process.env.GATEWAY_API_KEY });`,
    "const answer = await client.images.generate({",
    ...theirs.map(([name, value]) => `  ${name}: ${JSON.stringify(value)},`),
    ...ours.flatMap(([name, value]) => [
      "  // @ts-expect-error the gateway's own",
      `  ${name}: ${JSON.stringify(value)},`,
    ]),
    "});",
    "console.log(answer.data[0].url);",
  ].join("\n");
}
