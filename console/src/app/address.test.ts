import { expect, test } from "vitest";

import { lastPart } from "./address";

test("an id is what it was before it was escaped, whatever is in it", () => {
  for (const id of ["org:acme", "team:acme/design", "50% off", "a%2Fb", "<b>", "狐"]) {
    expect(lastPart(`/console/keys/${encodeURIComponent(id)}`)).toBe(id);
  }
  expect(lastPart("/console/tasks/50%")).toBe("50%");
});
