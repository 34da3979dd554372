import { describe, expect, it } from "vitest";

import { bodyOf, type Draft, fitted, isSizeTaken, streams } from "./draft";
import type { ModelCard } from "./models";

const card: ModelCard = {
  id: "gpt-image-2",
  response: "image",
  prompt_tokens_max: 2000,
  sizes: ["1024x1024", "1024x1536", "auto"],
  pixel_range: { multiple_of: 16, ratio_max: 3, edge_max: 3840, area_min: 655_360, area_max: 8_294_400 },
  n: [1, 2, 4],
  qualities: ["auto", "low"],
  output_formats: ["png", "webp"],
  references_max: 4,
  reference_bytes_max: 1,
  mask_bytes_max: 1,
  edits: true,
  masks: true,
  variations: false,
  streams: true,
  estimated_time_s: 30,
  credits_per_image: null,
};
const draft: Draft = {
  model: "",
  prompt: "a fox",
  size: "1:1",
  n: 3,
  quality: "high",
  outputFormat: "jpeg",
  previews: true,
};

describe("a draft", () => {
  it("is made to fit the model", () => {
    expect(fitted(draft, card)).toEqual({
      ...draft,
      model: "gpt-image-2",
      size: "1024x1024",
      n: 2,
      quality: "auto",
      outputFormat: null,
    });
  });

  it.each([
    ["1024x1536", true],
    ["1600x1200", true],
    ["1601x1200", false],
    ["3840x1280", true],
    ["3840x1264", false],
    ["512x512", false],
    ["3856x2160", false],
    ["0x0", false],
    ["2:3", false],
  ])("takes the size %s: %s", (size, taken) => expect(isSizeTaken(size, card)).toBe(taken));

  it("is streamed for one picture alone", () => {
    expect(streams({ ...draft, n: 1 }, card)).toBe(true);
    expect(streams({ ...draft, n: 2 }, card)).toBe(false);
    expect(streams({ ...draft, n: 1, previews: false }, card)).toBe(false);
    expect(streams({ ...draft, n: 1 }, { ...card, streams: false })).toBe(false);
  });

  it("becomes a body without what was not chosen", () => {
    const plain = { ...draft, model: "m", outputFormat: null };
    expect(bodyOf(plain, [], null)).toEqual({ model: "m", prompt: "a fox", size: "1:1", n: 3, quality: "high" });
    const reference = { key: 1, name: "a.png", preview: "", value: "file-1", sent: 1, error: null, bytes: 1 };
    const waiting = { ...reference, key: 2, value: null };
    expect(bodyOf(plain, [reference, waiting], "file-2")).toMatchObject({ image_urls: ["file-1"], mask_url: "file-2" });
  });
});
