import { describe, expect, it } from "vitest";

import { eventsOf } from "./events";

const STREAM =
  ': still at it\n\nevent: image_generation.partial_image\ndata: {"b64_json":"QUJD","partial_image_index":0}\n\n: x\n\nevent: error\ndata: {"error":{}}\n\n';

async function read(text: string, size: number) {
  const bytes = new TextEncoder().encode(text);
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
      controller.close();
    },
  });
  const found = [];
  for await (const event of eventsOf(body)) found.push(event);
  return found;
}

describe("a stream of events", () => {
  it.each([1, 2, 3, 7, 60, 1000])("is read the same in pieces of %i bytes", async (size) => {
    expect(await read(STREAM, size)).toEqual([
      { name: "image_generation.partial_image", data: '{"b64_json":"QUJD","partial_image_index":0}' },
      { name: "error", data: '{"error":{}}' },
    ]);
  });

  it("gives nothing for an event that was cut off", async () => {
    expect(await read('event: a\ndata: {"x"', 4)).toEqual([]);
  });
});
