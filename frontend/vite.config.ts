import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { compress } from "./compress.ts";
import { appendLicenses } from "./licenses.ts";

const LICENSES = "static/licenses.md";
const SERVICE = process.env.SERVICE_URL ?? "http://127.0.0.1:8000";

export default defineConfig({
  // Relative addresses, so that the page also works below a path prefix.
  base: "./",
  plugins: [
    react(),
    tailwindcss(),
    appendLicenses(LICENSES, {
      "@fontsource-variable/figtree": "LICENSE",
      "libheif-js": "libheif-wasm/LICENSE",
      tailwindcss: "LICENSE",
    }),
    compress(),
  ],
  resolve: { alias: { "@": new URL("./src", import.meta.url).pathname } },
  build: {
    outDir: "../serving/page/dist",
    emptyOutDir: true,
    // The Content-Security-Policy allows neither data: URLs nor inline scripts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    license: { fileName: LICENSES },
    target: "baseline-widely-available",
  },
  worker: { format: "es" },
  server: {
    proxy: { "^/(v1|generate-caption|feedback|healthz|readyz|docs|openapi.json)": SERVICE },
  },
  test: { include: ["src/**/*.test.{ts,tsx}"], environment: "node" },
});
