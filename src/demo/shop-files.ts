// The shop's files: product pictures (noise that no compression makes smaller, as with real ones), invoices, a few videos,
// and the configuration of the application.
import { createCipheriv, randomBytes } from 'node:crypto';
import { appendFile, mkdir, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { seededRandom, type Random } from '../base/random.ts';

export interface ShopFolders {
  readonly uploads: string;
  readonly environmentFile: string;
  readonly composeFile: string;
}

export function shopFolders(folder: string): ShopFolders {
  return {
    uploads: join(folder, 'shop', 'uploads'),
    environmentFile: join(folder, 'shop', '.env'),
    composeFile: join(folder, 'shop', 'compose.yaml'),
  };
}

const usualFiles = { pictures: 2_900, invoices: 120, videos: 4 } as const;
const pictureFolders = 20;
const kibibyte = 1024;
const jpegBegin = Buffer.from('ffd8ffe000104a46494600010100000100010000', 'hex');
const jpegEnd = Buffer.from('ffd9', 'hex');

export async function createFiles(
  folders: ShopFolders,
  { scale, onFile }: { readonly scale: number; readonly onFile: (done: number, total: number) => void },
  signal: AbortSignal,
): Promise<void> {
  const many = (usual: number): number => Math.max(2, Math.round(usual * scale));
  const counts = {
    pictures: many(usualFiles.pictures),
    invoices: many(usualFiles.invoices),
    videos: many(usualFiles.videos),
  };
  const total = counts.pictures + counts.invoices + counts.videos;
  const random = seededRandom(7);
  const noise = noiseSource();
  let done = 0;
  const write = async (name: string, content: Buffer | string): Promise<void> => {
    signal.throwIfAborted();
    await writeFile(join(folders.uploads, name), content);
    onFile((done += 1), total);
  };
  for (let at = 0; at < pictureFolders; at += 1)
    await mkdir(join(folders.uploads, pictureFolder(at)), { recursive: true });
  for (const name of ['invoices', 'videos']) await mkdir(join(folders.uploads, name), { recursive: true });
  for (let at = 1; at <= counts.pictures; at += 1) await write(pictureName(at), picture(noise, random));
  for (let at = 1; at <= counts.invoices; at += 1) await write(invoiceName(at), invoice(at, random));
  for (let at = 1; at <= counts.videos; at += 1) {
    await write(
      join('videos', `tour-${at}.mp4`),
      noise((3 * kibibyte + Math.floor(random() * 2 * kibibyte)) * kibibyte),
    );
  }
  await writeFile(folders.environmentFile, environmentText(), { mode: 0o600 });
  await writeFile(folders.composeFile, composeText);
}

const pictureFolder = (at: number): string => join('products', String(at % pictureFolders).padStart(2, '0'));
const pictureName = (at: number): string => join(pictureFolder(at), `product-${String(at).padStart(5, '0')}.jpg`);
const invoiceName = (at: number): string => join('invoices', `2026-${String(at).padStart(5, '0')}.txt`);

/** An endless stream of bytes that look random and are the same in every run. */
function noiseSource(): (sizeBytes: number) => Buffer {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 1), Buffer.alloc(16));
  return (sizeBytes) => cipher.update(Buffer.alloc(sizeBytes));
}

function picture(noise: (sizeBytes: number) => Buffer, random: Random): Buffer {
  const sizeBytes = Math.floor((3 + random() ** 3 * 60) * kibibyte);
  return Buffer.concat([jpegBegin, noise(sizeBytes), jpegEnd]);
}

function invoice(at: number, random: Random): string {
  const lines = Array.from({ length: 20 + Math.floor(random() * 200) }, (_, line) => {
    const cents = 290 + Math.floor(random() * 24_000);
    return `${String(line + 1).padStart(4)}  SKU-${String(Math.floor(random() * 2_000)).padStart(6, '0')}  ${(cents / 100).toFixed(2).padStart(9)} EUR`;
  });
  return [`Invoice 2026-${at}`, 'The Shop, 1 Harbour Street', '', ...lines, ''].join('\n');
}

/** Made up, and another one in each run: it looks like what must never be lost. */
function environmentText(): string {
  const secret = randomBytes(18).toString('base64url');
  return `# The shop's secrets\nNODE_ENV=production\nSESSION_SECRET=${secret}\nPAYMENT_MODE=live\nPUBLIC_URL=https://shop.example\n`;
}

const composeText = `services:
  web:
    image: registry.example/shop/web:4.2.1
    env_file: .env
    volumes: ['./uploads:/srv/uploads']
    depends_on: [database, cache]
  database:
    image: postgres:15
  cache:
    image: redis:7
`;

/** New pictures, and invoices that go on. */
export async function goOnUploading({ uploads }: ShopFolders, scale: number): Promise<void> {
  const random = seededRandom(11);
  const noise = noiseSource();
  noise(2 ** 20); // What comes after this was in no picture before.
  const count = Math.max(3, Math.round(40 * scale));
  for (let at = 0; at < count; at += 1) {
    await writeFile(
      join(uploads, pictureFolder(at), `new-${at}.jpg`),
      Buffer.concat([jpegBegin, noise(8_000 + at), picture(noise, random)]),
    );
  }
  for (const name of (await readdir(join(uploads, 'invoices'))).slice(0, 6)) {
    await appendFile(join(uploads, 'invoices', name), 'paid, with thanks\n');
  }
}

/** Half of the pictures are gone, others hold something else, a video is cut short, the configuration is scrambled. */
export async function destroyFiles({ uploads, environmentFile, composeFile }: ShopFolders): Promise<void> {
  for (let at = 0; at < pictureFolders; at += 1) {
    const folder = join(uploads, pictureFolder(at));
    if (at % 2 === 0) {
      await rm(folder, { recursive: true });
      continue;
    }
    for (const name of (await readdir(folder)).slice(0, 12))
      await writeFile(join(folder, name), randomBytes(20 * kibibyte));
  }
  const [video] = await readdir(join(uploads, 'videos'));
  if (video !== undefined) await truncate(join(uploads, 'videos', video), 100 * kibibyte);
  await writeFile(environmentFile, randomBytes(200));
  await rm(composeFile);
}
