// Reads a range with any pipeline:source component: node run.mjs COMPONENT CONFIG SINCE UNTIL
//
// CONFIG is the file with the source's configuration, SINCE and UNTIL are Unix times in seconds. Prints one JSON object an
// event: its key, and its body as the service sent it but for the line breaks of a pretty-printed one.

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

import { transpile, writeFiles } from '@bytecodealliance/jco-transpile';
import { WASIShim } from '@bytecodealliance/preview2-shim/instantiation';

const SOURCE = 'pipeline:source/source@0.1.0';
const POLLS_OF_AN_INSTANCE = 2;
// Small, so that a short range takes several polls.
const BUDGET = { maxEvents: 1, maxBytes: 1n << 20n, maxRequests: 10, maxDuration: 30_000_000_000n };

// Makes a component into JavaScript and core modules, and answers with what makes an instance of it. One can be made at
// any time: nothing depends on what an instance remembers.
async function load(component, folder) {
  const { files } = await transpile(component, { name: 'source', instantiation: 'async', outDir: folder });
  await writeFiles(files);
  const { instantiate } = await import(pathToFileURL(join(folder, 'source.js')));
  const compile = async (module) => WebAssembly.compile(await readFile(join(folder, module)));
  const imports = new WASIShim().getImportObject();
  return async () => (await instantiate(compile, imports))[SOURCE];
}

async function* events(instance, config, since, until) {
  const instant = (seconds) => ({ seconds, nanoseconds: 0 });
  let position = { tag: 'range', val: [instant(since), instant(until)] };
  let source;
  for (let polls = 0; ; polls += 1) {
    if (polls % POLLS_OF_AN_INSTANCE === 0) source = await instance();
    const batch = source.poll(config, position, BUDGET);
    yield* batch.events;
    // A host that keeps checkpoints stores this one now, the events being where they belong.
    position = { tag: 'resume', val: batch.checkpoint };
    if (batch.next.tag === 'ended') return;
    if (batch.next.tag === 'after') await wait(Number(batch.next.val / 1_000_000n));
  }
}

const [component, configFile, since, until] = process.argv.slice(2);
const folder = await mkdtemp(join(tmpdir(), 'source-'));
try {
  const instance = await load(component, folder);
  const config = await readFile(configFile, 'utf8');
  for await (const { key, body } of events(instance, config, BigInt(since), BigInt(until))) {
    console.log(`{"key":${JSON.stringify(key)},"body":${body.val.replace(/[\r\n]/g, '')}}`);
  }
} catch (error) {
  // A failure of the contract is thrown; each of its cases says who has to act.
  const failure = error.payload ?? error;
  if (failure.tag === undefined) throw error;
  console.error(`error: ${failure.tag}:`, failure.val);
  process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true });
}
