// All of Node.js that client.ts uses, so that its types need not be installed.
declare module "node:fs" {
  export function readFileSync(descriptor: number, encoding: "utf8"): string;
}
declare const console: { log(text: string): void };
