// Puts a .br and a .gz beside each asset that gains from it, and fails where the first load is larger than the console may be.
import { readdir, readFile, writeFile } from "node:fs/promises";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const SCRIPT_BYTES_MAX = 300 * 1024; // of what the first page loads, as gzip
const out = new URL("../../gateway/console/", import.meta.url);

const names = (await readdir(new URL("assets/", out))).filter((name) => /\.(js|css|svg)$/.test(name));
const sizes = new Map();
for (const name of names) {
  const file = new URL(`assets/${name}`, out);
  const bytes = await readFile(file);
  const gzip = gzipSync(bytes, { level: 9 });
  const brotli = brotliCompressSync(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
  });
  sizes.set(name, gzip.length);
  if (gzip.length < bytes.length * 0.9) {
    await writeFile(`${file.pathname}.gz`, gzip);
    await writeFile(`${file.pathname}.br`, brotli);
  }
}

const page = await readFile(new URL("index.html", out), "utf8");
const first = [...page.matchAll(/assets\/([^"]+\.js)"/g)].map((match) => match[1]);
const total = first.reduce((sum, name) => sum + sizes.get(name), 0);
const largest = [...sizes].sort((a, b) => b[1] - a[1]).slice(0, 5);
console.log(`first load: ${(total / 1024).toFixed(1)} KiB of compressed script in ${first.length} files`);
console.log(`largest: ${largest.map(([name, size]) => `${name} ${(size / 1024).toFixed(1)}`).join(", ")}`);
if (total > SCRIPT_BYTES_MAX) {
  console.error(`The first load may have ${SCRIPT_BYTES_MAX / 1024} KiB of compressed script: import pages lazily.`);
  process.exit(1);
}
