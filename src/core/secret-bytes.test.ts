/** Proves that secret bytes leak by no accident. */
import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SecretBytes } from './secret-bytes.ts';

/** Fixed, so that a failure is the same everywhere. */
const seed = 74;

describe('secret bytes', () => {
  const secret = SecretBytes.fromText('hunter2');

  it('show nothing of themselves unless they are opened', () => {
    const shown = [
      String(secret),
      `${secret}`,
      `${[secret]}`,
      inspect(secret),
      inspect({ deep: [{ secret }] }, { depth: 9, showHidden: true, getters: true }),
      Object.entries(secret).join(),
      Object.getOwnPropertyNames(secret).join(),
      String(new Error('failed', { cause: secret }).cause),
      inspect(new Error('failed', { cause: secret })),
      inspect(structuredClone({ secret })),
    ].join('\n');
    expect(shown).not.toMatch(/hunter2|104|68 ?75/);
    expect(secret.exposeText()).toBe('hunter2');
    expect([...secret.exposeBytes()]).toEqual([...Buffer.from('hunter2')]);
  });

  it('refuse JSON, wherever they are in it', () => {
    for (const value of [secret, [secret], { secret }, new Map([['a', secret]]).get('a')]) {
      expect(() => JSON.stringify(value)).toThrow(TypeError);
    }
  });

  it('are equal by their bytes', () => {
    expect(secret.equals(SecretBytes.fromText('hunter2'))).toBe(true);
    for (const other of ['hunter3', 'Hunter2', 'hunter', 'hunter22', '']) {
      expect(secret.equals(SecretBytes.fromText(other))).toBe(false);
    }
    expect(SecretBytes.fromText('').equals(SecretBytes.fromText(''))).toBe(true);
  });

  it('keep any text, and are zero after they were wiped', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => SecretBytes.fromText(text).exposeText() === text),
      { seed },
    );
    const wiped = SecretBytes.fromText('abc');
    wiped.wipe();
    expect([...wiped.exposeBytes()]).toEqual([0, 0, 0]);
    expect(wiped).toHaveLength(3);
  });

  it('of a part of a larger buffer are that part only', () => {
    const part = new SecretBytes(Buffer.from('before secret after').subarray(7, 13));
    expect(part.exposeText()).toBe('secret');
  });
});
