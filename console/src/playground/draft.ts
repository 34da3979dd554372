// What is being asked for: kept over reloads, made to fit the model, and turned into the body of a call.
import { useCallback, useEffect, useState } from "react";

import type { components } from "../api/schema";
import type { ModelCard } from "./models";
import type { Reference } from "./references";

export interface Draft {
  model: string;
  prompt: string;
  size: string;
  n: number;
  quality: string;
  outputFormat: string | null;
  previews: boolean;
}

const KEPT = "igw-draft";
const EMPTY: Draft = { model: "", prompt: "", size: "", n: 1, quality: "auto", outputFormat: null, previews: true };

function kept(): Draft {
  try {
    const found: unknown = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
    return typeof found === "object" && found !== null ? { ...EMPTY, ...found } : EMPTY;
  } catch {
    return EMPTY;
  }
}

export function useDraft() {
  const [draft, setDraft] = useState(kept);
  useEffect(() => {
    // A prompt that is too large for the store is only lost at a reload.
    try {
      sessionStorage.setItem(KEPT, JSON.stringify(draft));
    } catch {
      sessionStorage.removeItem(KEPT);
    }
  }, [draft]);
  const change = useCallback((part: Partial<Draft>) => setDraft((before) => ({ ...before, ...part })), []);
  return { draft, change };
}

/** The draft with what the model does not take put right. */
export function fitted(draft: Draft, card: ModelCard): Draft {
  const nearest = [...card.n].reverse().find((n) => n <= draft.n) ?? card.n[0] ?? 1;
  return {
    ...draft,
    model: card.id,
    size: isSizeTaken(draft.size, card) ? draft.size : (card.sizes[0] ?? "auto"),
    n: nearest,
    quality: card.qualities.includes(draft.quality) ? draft.quality : (card.qualities[0] ?? "auto"),
    outputFormat:
      draft.outputFormat !== null && card.output_formats.includes(draft.outputFormat) ? draft.outputFormat : null,
    previews: draft.previews,
  };
}

export function isSizeTaken(size: string, card: ModelCard): boolean {
  if (card.sizes.includes(size)) return true;
  const range = card.pixel_range;
  const match = /^(\d{1,5})x(\d{1,5})$/.exec(size);
  if (range === null || match === null) return false;
  const [width, height] = [Number(match[1]), Number(match[2])];
  const [long, short] = [Math.max(width, height), Math.min(width, height)];
  return (
    short > 0 &&
    width % range.multiple_of === 0 &&
    height % range.multiple_of === 0 &&
    long <= range.edge_max &&
    long <= short * range.ratio_max &&
    width * height >= range.area_min &&
    width * height <= range.area_max
  );
}

/** Partial pictures come only for calls of one picture, from models with an upstream that sends them. */
export function streams(draft: Draft, card: ModelCard): boolean {
  return draft.previews && card.streams && draft.n === 1;
}

export type CallBody = components["schemas"]["GenerationBody"];

/** The body of `POST /v1/images/generations`; references and mask by their file ids or URLs. */
export function bodyOf(draft: Draft, references: readonly Reference[], mask: string | null): CallBody {
  const urls = references.map((reference) => reference.value).filter((value) => value !== null);
  return {
    model: draft.model,
    prompt: draft.prompt,
    size: draft.size,
    n: draft.n,
    quality: draft.quality as CallBody["quality"],
    ...(draft.outputFormat === null ? {} : { output_format: draft.outputFormat as CallBody["output_format"] }),
    ...(urls.length === 0 ? {} : { image_urls: urls }),
    ...(mask === null ? {} : { mask_url: mask }),
  };
}
