// A reader in TypeScript, with types generated from the contract's schemas and nothing else of ours.
//   node client.js < payloads of m/{kind}, one a line: prints kind and figures, one result a line
import { readFileSync } from "node:fs";
import type { Envelope } from "./envelope.schema.js";

type Result = Envelope["records"][number]["result"];

function figures(result: Result): (number | null | undefined)[] {
  // Each case knows the type of `values` from `kind`: that is what the compiler checks here.
  switch (result.kind) {
    case "throughput":
      return [result.values?.download_whole_bps, result.values?.upload_whole_bps];
    case "http":
      return [result.values?.download_bps, result.values?.ping_p50_ms];
    case "latency":
      return [result.values?.rtt_p50_ms, result.values?.loss_ratio];
    case "dns":
      return [result.values?.rtt_p50_ms, result.values?.failure_ratio];
    case "web":
      return [result.values?.total_ms];
    case "path":
      return [result.values?.target_rtt_ms];
    case "availability":
      return [result.values?.up_minutes, result.values?.down_minutes];
    case "outage":
      return [result.values?.down_minutes];
    case "results_dropped":
      return [result.values?.count];
    default:
      return unknownKind(result);
  }
}

function unknownKind(result: never): never {
  throw new Error(`a kind that the schema does not have: ${JSON.stringify(result)}`);
}

for (const line of readFileSync(0, "utf8").split("\n").filter(Boolean)) {
  const envelope = JSON.parse(line) as Envelope;
  for (const { seq, result } of envelope.records) {
    console.log(JSON.stringify([seq, result.kind, ...figures(result).map((each) => each ?? null)]));
  }
}
