import { describe, expect, it } from "vitest";

import { snippet } from "./snippets";

const body = {
  model: "m",
  prompt: `it's "a" fox\n$(rm -rf /) \`x\``,
  n: 1,
  image_urls: ["file-1"],
  stream: true,
  partial_images: 2,
};

describe("snippets", () => {
  it("quote a prompt for their language", () => {
    const curl = snippet("curl", "https://gw.example/", body);
    expect(curl).toContain("curl 'https://gw.example/v1/images/generations'");
    expect(curl).toContain(`it'\\''s \\"a\\" fox\\n$(rm -rf /) \`x\``);
    expect(snippet("python", "https://gw.example", body)).toContain(
      `    prompt="it's \\"a\\" fox\\n$(rm -rf /) \`x\`",`,
    );
    expect(snippet("node", "https://gw.example", body)).toContain(`  prompt: "it's \\"a\\" fox\\n$(rm -rf /) \`x\`",`);
  });

  it("leave streaming out and send what OpenAI's clients do not know beside", () => {
    for (const kind of ["curl", "python", "node"] as const)
      expect(snippet(kind, "https://gw.example", body)).not.toContain("stream");
    expect(snippet("python", "https://gw.example", body)).toContain(`    extra_body={"image_urls": ["file-1"]},`);
  });
});
