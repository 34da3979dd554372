import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// `npm run dev` serves the sources and passes everything else on to a gateway at this address.
const GATEWAY = process.env.GATEWAY ?? "http://127.0.0.1:8080";

export default defineConfig({
  base: "/console/",
  plugins: [react()],
  build: {
    outDir: "../gateway/console",
    emptyOutDir: true,
    target: "es2022",
    // A data: URL in a style would need a wider policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: Object.fromEntries(
      ["/v1", "/admin", "/console/api", "/readyz"].map((path) => [path, { target: GATEWAY, changeOrigin: false }]),
    ),
  },
  // What needs a document says so: `// @vitest-environment happy-dom`.
  test: { environment: "node", include: ["src/**/*.test.{ts,tsx}"] },
});
