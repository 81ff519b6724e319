/** Proves that the root key's file is private, whole after any crash, and refused for a reason people can act on. */
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../core/clock.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import { systemRandom } from '../random.ts';
import { open, SealBroken, seal } from '../sealing.ts';
import { fileProtection, passphraseProtection } from './protector.ts';
import { RootKeyFile, RootKeyUnusable } from './root-key-file.ts';

const deps = { clock: systemClock, random: systemRandom };
const passphrase = (text: string) => passphraseProtection(SecretBytes.fromText(text));

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'strongroom-root-key-'));
  path = join(folder, 'root-key.json');
});
afterEach(() => {
  chmodSync(folder, 0o700);
  rmSync(folder, { recursive: true });
});

const create = () => RootKeyFile.create(deps, path, fileProtection);
const reopen = (protection = fileProtection) => RootKeyFile.open(deps, path, protection);
const sealed = (file: RootKeyFile) =>
  seal(file.current, SecretBytes.fromText('value'), { identity: 'here', random: systemRandom });

function edit(change: (document: Record<string, unknown>) => object): void {
  writeFileSync(path, JSON.stringify(change(JSON.parse(readFileSync(path, 'utf8')))));
}

test('a new file is private, and opens to the same key', async () => {
  const file = await create();
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder)).toEqual(['root-key.json']);
  const again = await reopen();
  expect(again.current.id).toBe(file.current.id);
  expect(again.hasOthers).toBe(false);
  expect(open(again.current, sealed(file), 'here').exposeText()).toBe('value');
});

test('a file that is there is never made anew', async () => {
  await create();
  const before = readFileSync(path);
  await expect(create()).rejects.toThrow(RootKeyUnusable);
  expect(readFileSync(path).equals(before)).toBe(true);
});

test.each([0o640, 0o604, 0o660, 0o666, 0o644, 0o610])(
  'mode %o of a key in clear is refused',
  async (mode) => {
    await create();
    chmodSync(path, mode);
    await expect(reopen()).rejects.toThrow(/chmod 600/);
  },
);

test('what a crash left beside the file gives the new one neither its mode nor its target', async () => {
  const file = await create();
  const elsewhere = join(folder, 'elsewhere');
  writeFileSync(elsewhere, 'untouched');
  symlinkSync(elsewhere, `${path}.new`);
  const staged = file.stage();
  expect(readFileSync(elsewhere, 'utf8')).toBe('untouched');
  writeFileSync(`${path}.new`, 'half a file', { mode: 0o666 });
  file.promote(staged);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(statSync(path).isFile()).toBe(true);
  expect((await reopen()).current.id).toBe(file.current.id);
});

/** A rotation's first two steps. */
function add(file: RootKeyFile): string {
  const id = file.stage();
  file.promote(id);
  return id;
}

test('a staged key is saved and seals nothing yet', async () => {
  const file = await create();
  const { id } = file.current;
  const staged = file.stage();
  expect(staged).not.toBe(id);
  for (const state of [file, await reopen()]) {
    expect(state.current.id).toBe(id);
    expect(state.ids).toEqual([id, staged]);
    expect(state.hasOthers).toBe(true);
  }
  file.unstage(staged);
  for (const state of [file, await reopen()]) {
    expect(state.current.id).toBe(id);
    expect(state.ids).toEqual([id]);
    expect(state.byId(staged)).toBeUndefined();
  }
});

test('a promoted key seals at once and after a restart, and the old one still opens', async () => {
  const file = await create();
  const oldId = file.current.id;
  const before = sealed(file);
  const newId = add(file);
  const after = sealed(file);
  for (const state of [file, await reopen()]) {
    expect(state.current.id).toBe(newId);
    expect(state.hasOthers).toBe(true);
    const old = state.byId(oldId);
    expect(old && open(old, before, 'here').exposeText()).toBe('value');
    expect(open(state.current, after, 'here').exposeText()).toBe('value');
  }
  expect(newId).not.toBe(oldId);
});

test('a key that is not in the file can be neither promoted nor kept, and the current one cannot be taken back', async () => {
  const file = await create();
  const { id } = file.current;
  const foreign = systemRandom.guid();
  const before = readFileSync(path);
  expect(() => file.promote(foreign)).toThrow(TypeError);
  expect(() => file.keepOnly(foreign)).toThrow(TypeError);
  expect(() => file.unstage(id)).toThrow(TypeError);
  expect(() => file.sealUnder(foreign, id)).toThrow(TypeError);
  expect(() => file.sealUnder(id, foreign)).toThrow(TypeError);
  expect(file.current.id).toBe(id);
  expect(open(file.current, sealed(file), 'here').exposeText()).toBe('value');
  expect(readFileSync(path).equals(before)).toBe(true);
});

test('a key that is not kept is gone from memory and from the file', async () => {
  const file = await create();
  const oldId = file.current.id;
  const [old] = JSON.parse(readFileSync(path, 'utf8')).keys as { key: string }[];
  file.keepOnly(add(file));
  expect(file.byId(oldId)).toBeUndefined();
  expect(file.hasOthers).toBe(false);
  const text = readFileSync(path, 'utf8');
  expect(text).not.toContain(oldId);
  expect(text).not.toContain(old?.key);
});

test('who holds the old key takes up the new one that was sealed under it, and nobody else does', async () => {
  const file = await create();
  const by = file.current.id;
  const twin = await reopen();
  const stranger = await RootKeyFile.create(deps, `${path}.other`, fileProtection);
  const id = file.stage();
  const handover = { by, sealed: file.sealUnder(id, by) };
  file.promote(id);
  expect(stranger.adopt(id, handover)).toBe(false);
  expect(stranger.ids).toHaveLength(1);
  expect(twin.adopt(id, handover)).toBe(true);
  expect(twin.current.id).toBe(by);
  twin.promote(id);
  expect(open(twin.current, sealed(file), 'here').exposeText()).toBe('value');
  expect(twin.adopt(id, handover)).toBe(true);
  expect(twin.ids).toEqual([by, id]);
  expect((await reopen()).ids).toEqual([by, id]);
});

test('a handover that was altered, or is of another key, is refused and changes nothing', async () => {
  const file = await create();
  const by = file.current.id;
  const twin = await reopen();
  const [id, other] = [file.stage(), file.stage()];
  const sealedKey = file.sealUnder(id, by);
  const before = readFileSync(path);
  for (let at = 0; at < sealedKey.length; at += 1) {
    const altered = Buffer.from(sealedKey);
    altered[at] = (altered[at] ?? 0) ^ 1;
    expect(() => twin.adopt(id, { by, sealed: altered })).toThrow(SealBroken);
  }
  expect(() => twin.adopt(other, { by, sealed: sealedKey })).toThrow(SealBroken);
  expect(twin.ids).toEqual([by]);
  expect(readFileSync(path).equals(before)).toBe(true);
});

test('who does not keep the file changes memory alone', async () => {
  const file = await create();
  const by = file.current.id;
  const guest = await RootKeyFile.open({ ...deps, keeps: false }, path, fileProtection);
  const id = file.stage();
  const before = readFileSync(path);
  expect(guest.adopt(id, { by, sealed: file.sealUnder(id, by) })).toBe(true);
  guest.promote(id);
  guest.keepOnly(id);
  expect(guest.ids).toEqual([id]);
  expect(readFileSync(path).equals(before)).toBe(true);
  expect(file.ids).toEqual([by, id]);
});

test('a change that cannot be written changes nothing', async () => {
  const file = await create();
  const { id } = file.current;
  const newId = add(file);
  // A folder in the place of the new file makes every write fail, whoever runs the test.
  const blocked = /directory/i;
  mkdirSync(`${path}.new`);
  expect(() => file.stage()).toThrow(blocked);
  expect(() => file.promote(id)).toThrow(blocked);
  expect(() => file.keepOnly(newId)).toThrow(blocked);
  await expect(file.protectWith(passphrase('a long passphrase'))).rejects.toThrow(blocked);
  expect(file.current.id).toBe(newId);
  const old = file.byId(id);
  expect(
    old && open(old, seal(old, SecretBytes.fromText('x'), { identity: 'y', random: systemRandom }), 'y'),
  ).toBeDefined();
  expect(file.protector).toBe('file');
  expect((await reopen()).current.id).toBe(newId);
});

test('keys of unfinished rotations never fill the file beyond what opens again', async () => {
  const file = await create();
  for (let count = 1; count < 8; count += 1) file.stage();
  expect(() => file.stage()).toThrow(RootKeyUnusable);
  expect((await reopen()).current.id).toBe(file.current.id);
});

test('a passphrase opens its file; a wrong or missing one is refused without a change', async () => {
  const file = await create();
  await file.protectWith(passphrase('a long passphrase'));
  expect(file.protector).toBe('passphrase');
  const before = readFileSync(path);
  const [{ key = '' } = {}] = JSON.parse(before.toString()).keys as { key?: string }[];
  expect(Buffer.from(key, 'base64url').length).toBe(1 + 12 + 32 + 16);
  await expect(reopen(passphrase('a wrong passphrase'))).rejects.toThrow(/passphrase is wrong/);
  await expect(reopen(fileProtection)).rejects.toThrow(/STRONGROOM_PASSPHRASE/);
  expect(readFileSync(path).equals(before)).toBe(true);
  const again = await reopen(passphrase('a long passphrase'));
  expect(open(again.current, sealed(file), 'here').exposeText()).toBe('value');
});

test('a passphrase of fewer than 12 bytes is refused, and the file stays as it is', async () => {
  const file = await create();
  const before = readFileSync(path);
  await expect(file.protectWith(passphrase('elevenbytes'))).rejects.toThrow(/12 bytes/);
  expect(readFileSync(path).equals(before)).toBe(true);
  await expect(RootKeyFile.create(deps, `${path}2`, passphrase(''))).rejects.toThrow(/12 bytes/);
  expect(readdirSync(folder)).toEqual(['root-key.json']);
});

test('a sealed key does not open under the id of another', async () => {
  const file = await create();
  await file.protectWith(passphrase('a long passphrase'));
  const id = systemRandom.guid();
  edit((document) => {
    const [key] = document.keys as object[];
    return { ...document, current: id, keys: [{ ...key, id }] };
  });
  await expect(reopen(passphrase('a long passphrase'))).rejects.toThrow(
    /passphrase is wrong, or the file is damaged/,
  );
});

const damage: [string, (document: Record<string, unknown>) => object][] = [
  ['another format', (document) => ({ ...document, format: 'strongroom-root-key/2' })],
  ['no keys', (document) => ({ ...document, keys: [] })],
  ['a current key that is not there', (document) => ({ ...document, current: systemRandom.guid() })],
  ['a key that is too short', (document) => withKey(document, 'AAAA')],
  ['a key that is too long', (document) => withKey(document, 'A'.repeat(64))],
  ['a key that is no base64url', (document) => withKey(document, '!')],
  ['an unknown protector', (document) => ({ ...document, protector: 'none' })],
  ['too many keys', (document) => ({ ...document, keys: Array(9).fill((document.keys as object[])[0]) })],
];

function withKey(document: Record<string, unknown>, key: string): object {
  return { ...document, keys: [{ ...(document.keys as object[])[0], key }] };
}

test.each(damage)('a file with %s is refused, and the refusal quotes no key', async (_what, change) => {
  await create();
  const [{ key = '' } = {}] = JSON.parse(readFileSync(path, 'utf8')).keys as { key?: string }[];
  edit(change);
  const refusal: unknown = await reopen().catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(RootKeyUnusable);
  expect(String(refusal)).not.toContain(key);
});

test('a file that is cut off, empty, not JSON or missing is refused', async () => {
  await create();
  const text = readFileSync(path, 'utf8');
  for (const content of [text.slice(0, -3), '', 'null', '[]', text.slice(1)]) {
    writeFileSync(path, content);
    await expect(reopen()).rejects.toThrow(RootKeyUnusable);
  }
  rmSync(path);
  await expect(reopen()).rejects.toThrow(/cannot be read/);
});

test('a file whose parameters cannot be used for a passphrase is refused', async () => {
  const file = await create();
  await file.protectWith(passphrase('a long passphrase'));
  const before = readFileSync(path, 'utf8');
  for (const kdf of [
    { salt: '' },
    { salt: 'AAAA' },
    { memory: 4 },
    { passes: 0 },
    { parallelism: 0 },
    { memory: 8, parallelism: 8 },
    { name: 'scrypt' },
  ]) {
    writeFileSync(path, before);
    edit((document) => ({ ...document, kdf: { ...(document.kdf as object), ...kdf } }));
    await expect(reopen(passphrase('a long passphrase'))).rejects.toThrow(RootKeyUnusable);
  }
  writeFileSync(path, before);
  edit(({ kdf: _gone, ...document }) => document);
  await expect(reopen(passphrase('a long passphrase'))).rejects.toThrow(RootKeyUnusable);
});
