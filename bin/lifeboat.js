#!/usr/bin/env -S MALLOC_MMAP_THRESHOLD_=131072 node --max-semi-space-size=4
// Starts Lifeboat under Node 26: this process if it is new enough, else the Node that `npm ci` brought along.
// The first line saves memory: glibc would keep freed buffers of megabytes for later ones that rarely fit.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import * as moduleApi from 'node:module';
import { arch, platform } from 'node:process';

const here = import.meta.dirname;
const args = process.argv.slice(2);

/** A server answers many at once, and what they ask for is gone right after: with little room for that it would collect all the time. */
const littleRoom = '--max-semi-space-size=4';
const flags = args[0] === 'server' ? process.execArgv.filter((flag) => flag !== littleRoom) : process.execArgv;

function bundledNode() {
  const require = moduleApi.createRequire(import.meta.url);
  for (const name of [`node-${platform}-${arch}`, `node-bin-${platform}-${arch}`]) {
    try {
      return require.resolve(`${name}/bin/node`);
    } catch {
      // Not installed: another platform, or optional dependencies were left out.
    }
  }
  return undefined;
}

if (Number(process.versions.node.split('.')[0]) >= 26) {
  if (flags.length < process.execArgv.length && !process.connected) {
    // The same process, begun anew; it does not come back here.
    process.execve(process.execPath, [process.execPath, ...flags, `${here}/lifeboat.js`, ...args], process.env);
  }
  moduleApi.enableCompileCache?.();
  if (process.connected && process.env.LIFEBOAT_LAUNCHED !== undefined) {
    // The launcher was killed: whoever did it meant us.
    process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
    process.channel.unref();
  }
  const sources = new URL('../src/main.ts', import.meta.url);
  await import(existsSync(sources) ? sources.href : new URL('../dist/main.js', import.meta.url).href);
} else {
  const node = bundledNode();
  if (node === undefined) {
    process.stderr.write(`error: Lifeboat needs Node 26 or newer, this is ${process.version}\n`);
    process.stderr.write("hint: run 'npm ci' in the project folder, it brings Node 26 by itself\n");
    process.exit(1);
  }
  const child = spawn(node, [...flags, `${here}/lifeboat.js`, ...args], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, LIFEBOAT_LAUNCHED: '1' },
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));
}
