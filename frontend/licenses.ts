// Vite plugin: licenses of packages that Vite's list leaves out, because a worker or a style sheet imports them.
import { readFile } from "node:fs/promises";
import type { Plugin } from "vite";

interface Package {
  name: string;
  version: string;
  license: string;
  homepage: string;
}

/**
 * Append packages to the list of licenses.
 *
 * @param fileName the list, as in `build.license`.
 * @param files the license file of each package.
 */
export function appendLicenses(fileName: string, files: Record<string, string>): Plugin {
  return {
    name: "append-licenses",
    apply: "build",
    generateBundle: {
      order: "post",
      async handler(_, bundle) {
        const list = bundle[fileName];
        if (list?.type !== "asset") throw new Error(`There is no ${fileName} to append licenses to.`);
        const sections = await Promise.all(
          Object.entries(files).map(([name, file]) => sectionOf(name, file)),
        );
        list.source = [list.source, ...sections].join("\n");
      },
    },
  };
}

async function sectionOf(packageName: string, file: string): Promise<string> {
  const folder = new URL(`./node_modules/${packageName}/`, import.meta.url);
  const description = await readFile(new URL("package.json", folder), "utf8");
  const { name, version, license, homepage } = JSON.parse(description) as Package;
  const text = await readFile(new URL(file, folder), "utf8");
  return `## ${name} - ${version} (${license})\n\nSource: ${homepage}\n\n${text.trim()}\n`;
}
