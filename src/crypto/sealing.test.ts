/** Proves that what is sealed opens in its own place, under its own key, unaltered, and in no other way. */
import { createDecipheriv, createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import { SecretBytes } from '../core/secret-bytes.ts';
import { systemRandom as random } from './random.ts';
import {
  macOf,
  open,
  openEnvelope,
  rewrapEnvelope,
  SealBroken,
  seal,
  sealEnvelope,
  sealingKey,
  sealingKeyLength,
} from './sealing.ts';

const newKey = (id = 'k') => sealingKey(id, new SecretBytes(random.bytes(sealingKeyLength)));
const place = { identity: 'vault|secrets|NAME|version', random };
const text = (value: string) => SecretBytes.fromText(value);

/** Every copy with one bit flipped, one byte replaced, or cut off at one place, and some that are longer. */
function alterations(bytes: Uint8Array): Uint8Array[] {
  const altered: Uint8Array[] = [Buffer.concat([bytes, Buffer.of(0)]), Buffer.concat([Buffer.of(1), bytes])];
  for (let at = 0; at < bytes.length; at += 1) {
    for (const bit of [1, 2, 4, 8, 16, 32, 64, 128]) {
      const copy = Buffer.from(bytes);
      copy[at] = (copy[at] ?? 0) ^ bit;
      altered.push(copy);
    }
    altered.push(bytes.subarray(0, at));
  }
  return altered;
}

test('opens what was sealed, from nothing to much', () => {
  const key = newKey();
  for (const length of [0, 1, 15, 16, 17, 25 * 1024, 1024 * 1024]) {
    const plain = random.bytes(length);
    const sealed = seal(key, new SecretBytes(plain), place);
    expect(sealed).toHaveLength(1 + 12 + length + 16);
    expect(Buffer.from(open(key, sealed, place.identity).exposeBytes()).equals(plain)).toBe(true);
  }
});

test('the form is AES-256-GCM with the identity as associated data, readable by any implementation', () => {
  const bytes = random.bytes(sealingKeyLength);
  const sealed = Buffer.from(seal(sealingKey('k', new SecretBytes(bytes)), text('plain'), place));
  expect(sealed[0]).toBe(1);
  const decipher = createDecipheriv('aes-256-gcm', bytes, sealed.subarray(1, 13));
  decipher.setAAD(Buffer.from(place.identity));
  decipher.setAuthTag(sealed.subarray(-16));
  expect(Buffer.concat([decipher.update(sealed.subarray(13, -16)), decipher.final()]).toString()).toBe(
    'plain',
  );
});

test('the same thing sealed twice shares neither IV nor ciphertext', () => {
  const key = newKey();
  const sealed = Array.from({ length: 100 }, () => Buffer.from(seal(key, text('same'), place)));
  expect(new Set(sealed.map((bytes) => bytes.toString('hex', 1, 13))).size).toBe(100);
  expect(new Set(sealed.map((bytes) => bytes.toString('hex', 13, 17))).size).toBeGreaterThan(90);
});

test('anything altered, cut or longer does not open', () => {
  const key = newKey();
  const sealed = seal(key, text('value'), place);
  for (const wrong of alterations(sealed)) {
    expect(() => open(key, wrong, place.identity)).toThrow(SealBroken);
  }
});

test('another key or another place does not open it', () => {
  const key = newKey();
  const sealed = seal(key, text('value'), place);
  expect(() => open(newKey(), sealed, place.identity)).toThrow(SealBroken);
  for (const identity of [
    '',
    `${place.identity} `,
    place.identity.toLowerCase(),
    'vault|secrets|NAME|other',
  ]) {
    expect(() => open(key, sealed, identity)).toThrow(SealBroken);
  }
});

test('a key has 32 bytes and keeps them to itself', () => {
  for (const length of [0, 16, 31, 33, 64]) {
    expect(() => sealingKey('k', new SecretBytes(random.bytes(length)))).toThrow(TypeError);
  }
  const bytes = new SecretBytes(random.bytes(sealingKeyLength));
  const key = sealingKey('k', bytes);
  const sealed = seal(key, text('value'), place);
  bytes.wipe();
  expect(open(key, sealed, place.identity).exposeText()).toBe('value');
});

test('an envelope opens under its vault key only, and no part of it moves to another', () => {
  const vaultKey = { version: 3, key: newKey() };
  const a = sealEnvelope(vaultKey, text('a'), place);
  const b = sealEnvelope(vaultKey, text('b'), { ...place, identity: 'vault|secrets|OTHER|version' });
  expect(a.keyVersion).toBe(3);
  expect(openEnvelope(vaultKey.key, a, place.identity).exposeText()).toBe('a');
  const refused = [
    { ...a, dataKey: b.dataKey },
    { ...a, value: b.value },
    { ...a, dataKey: a.value, value: a.dataKey },
    b,
  ];
  for (const envelope of refused) {
    expect(() => openEnvelope(vaultKey.key, envelope, place.identity)).toThrow(SealBroken);
  }
  expect(() => openEnvelope(newKey(), a, place.identity)).toThrow(SealBroken);
});

test('every flipped bit of a data key or a value is noticed', () => {
  const vaultKey = { version: 1, key: newKey() };
  const envelope = sealEnvelope(vaultKey, text('value'), place);
  for (const dataKey of alterations(envelope.dataKey)) {
    expect(() => openEnvelope(vaultKey.key, { ...envelope, dataKey }, place.identity)).toThrow(SealBroken);
  }
  for (const value of alterations(envelope.value)) {
    expect(() => openEnvelope(vaultKey.key, { ...envelope, value }, place.identity)).toThrow(SealBroken);
  }
});

test('a rewrapped envelope opens under the new vault key and not under the old', () => {
  const from = newKey();
  const to = { version: 2, key: newKey() };
  const old = sealEnvelope({ version: 1, key: from }, text('value'), place);
  const moved = { ...old, ...rewrapEnvelope({ from, to }, old, place) };
  expect(moved.keyVersion).toBe(2);
  expect(moved.value).toBe(old.value);
  expect(openEnvelope(to.key, moved, place.identity).exposeText()).toBe('value');
  expect(() => openEnvelope(from, moved, place.identity)).toThrow(SealBroken);
  expect(() => rewrapEnvelope({ from, to }, moved, place)).toThrow(SealBroken);
  expect(() => rewrapEnvelope({ from, to }, old, { ...place, identity: 'elsewhere' })).toThrow(SealBroken);
});

test('the MAC is HMAC-SHA-256 of its parts in order', () => {
  const key = random.bytes(32);
  const expected = createHmac('sha256', key).update('one').update(Buffer.from('two')).digest();
  const mac = macOf(new SecretBytes(key));
  expect(Buffer.from(mac('one', Buffer.from('two'))).equals(expected)).toBe(true);
  expect(Buffer.from(mac('two', 'one')).equals(expected)).toBe(false);
});
