// Makes src/api/schema.ts from the gateway's OpenAPI document on standard input.
import { writeFile } from "node:fs/promises";
import { json } from "node:stream/consumers";
import openapiTS, { astToString } from "openapi-typescript";

const HEAD = "// Made by `make console-types` from the gateway's OpenAPI document; not to be edited.\n\n";
const target = process.argv[2] ?? new URL("../src/api/schema.ts", import.meta.url);
await writeFile(target, HEAD + astToString(await openapiTS(await json(process.stdin), { defaultNonNullable: false })));
