// Trees as an enemy would make them: names that climb, links that lead out, files that pretend to be one.
import type { Random } from '../../src/base/random.ts';
import type { HandmadeSnapshot, RawNode } from './handmade-tree.ts';

const words = (text: string): readonly Buffer[] => [Buffer.from(text)];
export const hostileFile = (name: string, text = 'hostile', fields: object = {}): RawNode => ({
  name,
  type: 'file',
  data: words(text),
  ...fields,
});
export const hostileFolder = (name: string, nodes: readonly RawNode[] = [], fields: object = {}): RawNode => ({
  name,
  type: 'dir',
  mode: 0x8000_01ed,
  nodes,
  ...fields,
});
export const hostileLink = (name: string, target: string): RawNode => ({ name, type: 'symlink', linktarget: target });

export function pick<Value>(random: Random, values: readonly Value[]): Value {
  const value = values[Math.floor(random() * values.length)];
  if (value === undefined) throw new Error('there is nothing to pick from');
  return value;
}

/** Few names, so that snapshots get in each other's way; hostile ones seldom, so that most are restored. */
export function hostileSnapshot(random: Random, outside: string): HandmadeSnapshot {
  const targets = [outside, '../outside', '../../outside', '..', '.', '/', 'a', `${outside}/canary`, 'b/../..'];
  const hostile = ['..', '.', '../outside/evil', `${outside}/evil`, 'a\0b', '\ud800', '\ufffd', '\udcc3\udca9', 'é'];
  const nodes = (depth: number): RawNode[] => {
    const names = ['a', 'b', 'c', 'canary', 'dir'].filter(() => random() < 0.6);
    if (random() < 0.03) names.push(pick(random, hostile));
    return names.map((name) => node(name, depth));
  };
  const node = (name: string, depth: number): RawNode => {
    const shared = random() < 0.2 ? { inode: 1 + Math.floor(random() * 3), device_id: 1, links: 2 } : {};
    const kind = random();
    if (kind < 0.4 && depth < 4) return hostileFolder(name, nodes(depth + 1), { mode: 0x8000_01c0 });
    if (kind < 0.6) return { ...hostileLink(name, pick(random, targets)), ...shared };
    if (kind < 0.65) return { name, type: pick(random, ['fifo', 'chardev', 'dev', 'socket']), device: 259, ...shared };
    const data = Array.from({ length: Math.floor(random() * 3) }, () => Buffer.alloc(1 + Math.floor(random() * 3), 97));
    return hostileFile(name, '', { data, ...(random() < 0.1 && { size: random() * 1e6 - 5e5 }), ...shared });
  };
  return { nodes: nodes(0), ...(random() < 0.5 && { paths: [pick(random, ['/a/b/c', '/b', '/a/dir/x/y', '/'])] }) };
}
