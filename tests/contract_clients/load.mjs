// Loads the contract as a stranger would: AJV in its strict mode, and the AsyncAPI parser.
//   node load.mjs CONTRACT_FOLDER < messages.jsonl     {"schema": FILE, "payload": ANY} a line
// Prints {"asyncapi": [errors and warnings], "verdicts": [whether AJV accepts each message]}.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Parser } from "@asyncapi/parser";
import Ajv from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const folder = process.argv[2];
const ajv = new Ajv.default({ strict: true });
addFormats.default(ajv);
const validators = new Map();
for (const name of readdirSync(folder).filter((each) => each.endsWith(".schema.json"))) {
  validators.set(name, ajv.compile(JSON.parse(readFileSync(join(folder, name), "utf8"))));
}
const lines = readFileSync(0, "utf8").split("\n").filter(Boolean);
const verdicts = lines.map((line) => {
  const { schema, payload } = JSON.parse(line);
  return validators.get(schema)(payload);
});
const parsed = await new Parser().parse(readFileSync(join(folder, "asyncapi.json"), "utf8"));
// 0 is an error, 1 a warning; 2 and 3 are advice.
const asyncapi = parsed.diagnostics.filter((each) => each.severity < 2).map((each) => each.message);
const examples = parsed.document
  ?.messages().all().map((message) => message.examples().all().length);
process.stdout.write(JSON.stringify({ asyncapi, examples, verdicts }));
