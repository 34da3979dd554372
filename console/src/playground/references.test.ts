// @vitest-environment happy-dom
import { describe, expect, it } from "vitest";

import { sorted } from "./references";

const file = (name: string, type: string, size: number) =>
  Object.defineProperty(new File([], name, { type }), "size", { value: size });

describe("references", () => {
  it("are refused with the reason before they are sent", () => {
    const files = [
      file("a.png", "image/png", 10),
      file("b.gif", "image/gif", 10),
      file("c.webp", "image/webp", 101),
      file("d.jpg", "image/jpeg", 100),
      file("e.png", "image/png", 1),
    ];
    const { good, bad } = sorted(files, 1, { count: 3, bytes: 100 });
    expect(good.map((each) => each.name)).toEqual(["a.png", "d.jpg"]);
    expect(bad).toEqual([
      { kind: "type", name: "b.gif" },
      { kind: "size", name: "c.webp" },
      { kind: "count", name: "e.png" },
    ]);
  });
});
