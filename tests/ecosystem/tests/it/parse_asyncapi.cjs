// Holds a description of streams against the AsyncAPI specification, by the package @asyncapi/parser.
//
// Usage: parse_asyncapi.cjs FILE. Prints each fault, and ends with 1 where there is one.
'use strict';

const { readFileSync } = require('node:fs');
const { createRequire } = require('node:module');
const { Parser } = createRequire(process.env.MIRAGE_NPM)('@asyncapi/parser');

// The description keeps to 3.0: not every program reads 3.1.
const NO_FAULTS = new Set(['asyncapi-latest-version']);

async function main() {
  const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], 'utf8'));
  const faults = diagnostics.filter(({ code }) => !NO_FAULTS.has(code));
  for (const { code, message, path } of faults) console.log(`${code} at ${path.join('/')}: ${message}`);
  const is_good = document !== undefined && faults.length === 0;
  if (is_good) console.log(`${document.channels().length} channels, ${document.allMessages().length} messages`);
  process.exitCode = is_good ? 0 : 1;
}

main();
