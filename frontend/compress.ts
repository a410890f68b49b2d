// Vite plugin: Brotli and gzip copies of the built files, which the service sends to browsers that accept them.
import { readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { brotliCompress, gzip } from "node:zlib";
import type { Plugin } from "vite";

/** Kinds of files that become smaller. Photos and fonts are compressed already. */
const COMPRESSIBLE = new Set([".css", ".html", ".js", ".json", ".md", ".svg", ".wasm", ".webmanifest"]);

export function compress(): Plugin {
  return {
    name: "compress",
    apply: "build",
    writeBundle: {
      order: "post",
      sequential: true,
      async handler({ dir }) {
        const folder = dir ?? "";
        const names = await readdir(folder, { recursive: true });
        const files = names.filter((name) => COMPRESSIBLE.has(path.extname(name)));
        await Promise.all(files.map((name) => compressFile(path.join(folder, name))));
      },
    },
  };
}

async function compressFile(file: string): Promise<void> {
  const content = await readFile(file);
  await Promise.all([
    promisify(brotliCompress)(content).then((data) => writeFile(`${file}.br`, data)),
    promisify(gzip)(content, { level: 9 }).then((data) => writeFile(`${file}.gz`, data)),
  ]);
}
