/**
 * Proves AES against published vectors, WebCrypto and itself, and that each mode takes its own parameters and no others.
 * What cannot be decrypted is one and the same error whatever is wrong with it.
 */
import { createCipheriv, webcrypto } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encryptionRow, hex, noParameters, readVectors } from '../../../test/support/software-keys.ts';
import { type EncryptionAlgorithm, encryptionAlgorithms } from '../algorithms.ts';
import { type DecryptInput, type EncryptInput, NotDecrypted } from '../provider.ts';
import { systemRandom as random } from '../random.ts';
import { type AesKey, aesDecrypt, aesEncrypt } from './aes.ts';

interface Vector {
  readonly id: string;
  readonly algorithm: string;
  readonly key: string;
  readonly iv?: string;
  readonly aad?: string;
  readonly tag?: string;
  readonly plaintext: string;
  readonly ciphertext: string;
  readonly valid: boolean;
}

const rows = encryptionAlgorithms.filter(({ keyType }) => keyType === 'oct');
const sizes = [128, 192, 256];
/** Each algorithm with each size of key that it is for. */
const cases = rows.flatMap((row) =>
  sizes
    .filter((bits) => row.bits === undefined || row.bits === bits)
    .map((bits) => ({ name: row.name, row, bits })),
);

function keyOf(octets: Uint8Array): AesKey {
  return { octets, random };
}

function input(
  given: Partial<DecryptInput> & { readonly plaintext?: Uint8Array },
): EncryptInput & DecryptInput {
  return { ...noParameters, plaintext: new Uint8Array(), ciphertext: new Uint8Array(), ...given };
}

function encrypt(key: Uint8Array, row: EncryptionAlgorithm, given: Parameters<typeof input>[0]) {
  const { plaintext, iv, aad } = input(given);
  return aesEncrypt(keyOf(key), row, { plaintext, iv, aad });
}

function decrypt(key: Uint8Array, row: EncryptionAlgorithm, given: Parameters<typeof input>[0]): Buffer {
  return Buffer.from(aesDecrypt(keyOf(key), row, input(given)).exposeBytes());
}

function vectors(name: string): readonly Vector[] {
  return readVectors<{ vectors: readonly Vector[] }>(name).vectors;
}

/** A value that the algorithm takes, of about that many octets. */
function valueFor({ scheme, padded }: EncryptionAlgorithm, octets: Uint8Array): Uint8Array {
  const unit = scheme === 'aes-kw' ? 8 : scheme === 'aes-cbc' && !padded ? 16 : 1;
  const least = scheme === 'aes-kw' ? 16 : scheme === 'aes-gcm' ? 0 : unit;
  const length = Math.max(least, unit * Math.ceil(octets.length / unit));
  const value = new Uint8Array(length);
  value.set(octets);
  return value;
}

describe('vectors', () => {
  test.each(vectors('aes-key-wrap.json'))('$id', ({ algorithm, key, plaintext, ciphertext, valid }) => {
    const row = encryptionRow(algorithm);
    const open = () => decrypt(hex(key), row, { ciphertext: hex(ciphertext) }).toString('hex');
    if (!valid) return expect(open).toThrow(NotDecrypted);
    expect(open()).toBe(plaintext);
    expect(encrypt(hex(key), row, { plaintext: hex(plaintext) })).toEqual({
      ciphertext: hex(ciphertext),
      iv: undefined,
      tag: undefined,
    });
  });

  test.each(vectors('aes-gcm.json'))('GCM $id', ({ algorithm, key, plaintext, valid, ...given }) => {
    const { ciphertext, iv = '', tag = '', aad = '' } = given;
    const parameters = { ciphertext: hex(ciphertext), iv: hex(iv), tag: hex(tag), aad: hex(aad) };
    const open = (values: Partial<DecryptInput>) =>
      decrypt(hex(key), encryptionRow(algorithm), values).toString('hex');
    if (!valid) return expect(() => open(parameters)).toThrow(NotDecrypted);
    expect(open(parameters)).toBe(plaintext);
    if (aad === '') expect(open({ ...parameters, aad: undefined })).toBe(plaintext);
  });

  test.each(vectors('aes-cbc.json'))(
    'CBC $id',
    ({ algorithm, key, iv = '', plaintext, ciphertext, valid }) => {
      const row = encryptionRow(algorithm);
      const open = () => decrypt(hex(key), row, { ciphertext: hex(ciphertext), iv: hex(iv) }).toString('hex');
      if (!valid) return expect(open).toThrow(NotDecrypted);
      expect(open()).toBe(plaintext);
      const made = encrypt(hex(key), row, { plaintext: hex(plaintext), iv: hex(iv) });
      expect(Buffer.from(made.ciphertext).toString('hex')).toBe(ciphertext);
      expect(made.iv).toEqual(hex(iv));
      expect(made.tag).toBeUndefined();
    },
  );

  test('there are valid and invalid ones of each', () => {
    for (const name of ['aes-key-wrap.json', 'aes-gcm.json', 'aes-cbc.json'])
      expect(new Set(vectors(name).map(({ valid }) => valid)).size).toBe(2);
  });
});

describe.each(cases)('$name with $bits bits', ({ row, bits }) => {
  const key = random.bytes(bits / 8);

  test('what is encrypted decrypts, and no change of it does', () => {
    const any = fc.uint8Array({ maxLength: 80 });
    fc.assert(
      fc.property(any, any, fc.nat(), (octets, aad, at) => {
        const plaintext = valueFor(row, octets);
        const made = encrypt(key, row, { plaintext, ...(row.scheme === 'aes-gcm' && { aad }) });
        const { ciphertext, iv, tag } = made;
        const sent = { ciphertext, iv, tag, ...(row.scheme === 'aes-gcm' && { aad }) };
        expect(decrypt(key, row, sent).equals(plaintext)).toBe(true);
        // CBC alone notices nothing: its callers authenticate by themselves.
        if (row.scheme === 'aes-cbc') return;
        const bent = { ...sent, ...flipped(sent, at) };
        expect(() => decrypt(key, row, bent)).toThrow(NotDecrypted);
        const longer = Buffer.concat([ciphertext, Buffer.alloc(8)]);
        expect(() => decrypt(key, row, { ...sent, ciphertext: longer })).toThrow(NotDecrypted);
        const shorter = ciphertext.subarray(0, -1);
        if (ciphertext.length > 0)
          expect(() => decrypt(key, row, { ...sent, ciphertext: shorter })).toThrow(NotDecrypted);
      }),
      { numRuns: 30 },
    );
  });

  test('the plaintext is not altered and the ciphertext does not share its memory', () => {
    const plaintext = valueFor(row, new Uint8Array(40).fill(7));
    const before = Buffer.from(plaintext);
    const { ciphertext, iv, tag } = encrypt(key, row, { plaintext });
    expect(before.equals(plaintext)).toBe(true);
    const opened = aesDecrypt(keyOf(key), row, input({ ciphertext, iv, tag }));
    opened.wipe();
    expect(decrypt(key, row, { ciphertext, iv, tag }).equals(plaintext)).toBe(true);
  });
});

/** One bit of the ciphertext, or of the tag if there is none, is another. */
function flipped({ ciphertext, tag }: Partial<DecryptInput>, at: number): Partial<DecryptInput> {
  const flip = (bytes: Uint8Array) => {
    const copy = Uint8Array.from(bytes);
    const index = at % copy.length;
    copy[index] = (copy[index] ?? 0) ^ (1 << (at % 8));
    return copy;
  };
  if (ciphertext !== undefined && ciphertext.length > 0) return { ciphertext: flip(ciphertext) };
  return tag === undefined ? {} : { tag: flip(tag) };
}

describe('parameters that the mode does not have, or not so', () => {
  const key = new Uint8Array(16).fill(1);
  const value = new Uint8Array(16);
  const iv = new Uint8Array(16);
  const aad = new Uint8Array(4);
  const tag = new Uint8Array(16);

  const refused = (run: () => unknown, text: RegExp) => {
    expect(run).toThrow(expect.objectContaining({ name: 'Failure', kind: 'badParameter' }));
    expect(run).toThrow(text);
  };

  test.each(['A128CBC', 'A128CBCPAD', 'A128KW', 'A128KWPAD', 'CKM_AES_KEY_WRAP', 'CKM_AES_KEY_WRAP_PAD'])(
    '%s takes no AAD and no tag',
    (name) => {
      const row = encryptionRow(name);
      const own = row.scheme === 'aes-cbc' ? { iv } : {};
      refused(
        () => encrypt(key, row, { plaintext: value, ...own, aad }),
        /takes no additional authenticated data/,
      );
      refused(
        () => encrypt(key, row, { plaintext: value, ...own, aad: new Uint8Array() }),
        /takes no additional/,
      );
      refused(
        () => decrypt(key, row, { ciphertext: value, ...own, aad }),
        /takes no additional authenticated data/,
      );
      refused(() => decrypt(key, row, { ciphertext: value, ...own, tag }), /takes no authentication tag/);
    },
  );

  test.each(['A128KW', 'A128KWPAD'])('%s takes no IV', (name) => {
    const row = encryptionRow(name);
    refused(() => encrypt(key, row, { plaintext: value, iv: iv.subarray(8) }), /takes no IV/);
    refused(() => decrypt(key, row, { ciphertext: value, iv: iv.subarray(8) }), /takes no IV/);
  });

  test('GCM takes no IV for encryption, and for decryption one of 12 bytes and a tag of 16', () => {
    const row = encryptionRow('A128GCM');
    refused(
      () => encrypt(key, row, { plaintext: value, iv: iv.subarray(4) }),
      /IV of A128GCM is made by the service/,
    );
    const sent = { ...encrypt(key, row, { plaintext: value }) };
    refused(() => decrypt(key, row, { ...sent, iv: undefined }), /IV of A128GCM is missing/);
    refused(() => decrypt(key, row, { ...sent, tag: undefined }), /authentication tag of A128GCM is missing/);
    for (const length of [0, 1, 8, 11, 13, 16])
      refused(
        () => decrypt(key, row, { ...sent, iv: new Uint8Array(length) }),
        /IV of A128GCM must have 12 bytes/,
      );
    // Shorter tags are valid in SP 800-38D, and a gift to who forges.
    for (const length of [0, 4, 8, 12, 13, 14, 15, 17, 32])
      refused(
        () => decrypt(key, row, { ...sent, tag: Buffer.concat([sent.tag ?? tag, tag]).subarray(0, length) }),
        /tag of A128GCM must have 16 bytes/,
      );
  });

  test('CBC takes an IV of 16 bytes', () => {
    for (const row of [encryptionRow('A128CBC'), encryptionRow('A128CBCPAD')]) {
      refused(() => decrypt(key, row, { ciphertext: value }), /IV of \w+ is missing/);
      for (const length of [0, 8, 12, 15, 17, 32]) {
        const wrong = new Uint8Array(length);
        refused(() => encrypt(key, row, { plaintext: value, iv: wrong }), /IV of \w+ must have 16 bytes/);
        refused(() => decrypt(key, row, { ciphertext: value, iv: wrong }), /IV of \w+ must have 16 bytes/);
      }
    }
  });

  test.each([
    ['A128CBC', [0], /is empty/],
    ['A128CBC', [1, 15, 17, 31], /must be a multiple of 16 bytes/],
    ['A128CBCPAD', [0], /is empty/],
    ['A128KW', [0, 1, 8, 15, 17, 23], /must be a multiple of 8 bytes and at least 16/],
    ['CKM_AES_KEY_WRAP', [8, 20], /must be a multiple of 8 bytes and at least 16/],
    ['A128KWPAD', [0], /is empty/],
    ['A128KW', [8200], /must have at most 8192 bytes/],
    ['A128KWPAD', [8193], /must have at most 8192 bytes/],
  ])('%s does not encrypt %j bytes', (name, lengths, text) => {
    for (const length of lengths)
      refused(() => encrypt(key, encryptionRow(name), { plaintext: new Uint8Array(length) }), text);
  });

  test('an algorithm of RSA and a key of no AES size are mistakes of the caller', () => {
    expect(() => encrypt(key, encryptionRow('RSA-OAEP'), { plaintext: value })).toThrow(TypeError);
    expect(() => encrypt(key.subarray(1), encryptionRow('A128GCM'), { plaintext: value })).toThrow(TypeError);
  });
});

test('IVs are made anew each time', () => {
  for (const [name, length] of [
    ['A256GCM', 12],
    ['A256CBC', 16],
    ['A256CBCPAD', 16],
  ] as const) {
    const ivs = Array.from({ length: 200 }, () => {
      const { iv } = encrypt(new Uint8Array(32), encryptionRow(name), { plaintext: new Uint8Array(16) });
      expect(iv).toHaveLength(length);
      return Buffer.from(iv ?? []).toString('hex');
    });
    expect(new Set(ivs).size).toBe(200);
  }
});

describe('PKCS#7 padding', () => {
  const key = random.bytes(16);
  const iv = random.bytes(16);

  /** A block that ends so, encrypted without padding. */
  function sealed(end: readonly number[]): Uint8Array {
    const plaintext = new Uint8Array(16).fill(0xaa);
    plaintext.set(end, 16 - end.length);
    return encrypt(key, encryptionRow('A128CBC'), { plaintext, iv }).ciphertext;
  }

  test.each([
    ['zero', [0]],
    ['17', [17]],
    ['255', [255]],
    ['2 after 1', [1, 2]],
    ['3 after 3 after 2', [2, 3, 3]],
    ['16 with one that is 15', [15, ...Array<number>(15).fill(16)]],
  ])('that ends in %s is refused', (_, end) => {
    expect(() => decrypt(key, encryptionRow('A128CBCPAD'), { ciphertext: sealed(end), iv })).toThrow(
      NotDecrypted,
    );
  });

  test.each([1, 2, 15, 16])('of %s octets is taken off', (count) => {
    const opened = decrypt(key, encryptionRow('A128CBCPAD'), {
      ciphertext: sealed(Array<number>(count).fill(count)),
      iv,
    });
    expect(opened).toHaveLength(16 - count);
  });
});

describe('key wrap with padding', () => {
  const key = random.bytes(32);

  /** RFC 5649 with any first semiblock: RFC 3394 with an initial value of one's own. */
  function sealed(head: string, body: string): Uint8Array {
    return createCipheriv('id-aes256-wrap', key, hex(head)).update(hex(body));
  }

  test('is what such a blob is', () => {
    const opened = decrypt(key, encryptionRow('A256KWPAD'), {
      ciphertext: sealed('a65959a600000009', '11'.repeat(9) + '00'.repeat(7)),
    });
    expect(opened.toString('hex')).toBe('11'.repeat(9));
  });

  test.each([
    ['another constant', 'a65959a700000009', '11'.repeat(9) + '00'.repeat(7)],
    ['the constant of RFC 3394', 'a6a6a6a6a6a6a6a6', '11'.repeat(9) + '00'.repeat(7)],
    ['a length of zero', 'a65959a600000000', '00'.repeat(16)],
    ['a length that leaves a whole semiblock', 'a65959a600000008', '11'.repeat(8) + '00'.repeat(8)],
    ['a length above the end', 'a65959a600000011', '11'.repeat(16)],
    ['a huge length', 'a65959a6ffffffff', '11'.repeat(16)],
    ['padding that is not zero', 'a65959a600000009', `${'11'.repeat(9)}00000000000001`],
    ['padding that starts with other than zero', 'a65959a600000009', `${'11'.repeat(9)}80000000000000`],
  ])('with %s is refused', (_, head, body) => {
    expect(() => decrypt(key, encryptionRow('A256KWPAD'), { ciphertext: sealed(head, body) })).toThrow(
      NotDecrypted,
    );
  });
});

/** `length` zeros that OpenSSL has wrapped under zeros: nothing is wrong with them but their length. */
function longest(cipher: string, length: number): Uint8Array {
  const iv = cipher.endsWith('pad') ? 'a65959a6' : 'a6a6a6a6a6a6a6a6';
  return createCipheriv(cipher, new Uint8Array(16), Buffer.from(iv, 'hex')).update(new Uint8Array(length));
}

test.each([
  ['A128KW', 'id-aes128-wrap'],
  ['A128KWPAD', 'id-aes128-wrap-pad'],
])('%s takes as much as 8,192 bytes, both ways', (name, cipher) => {
  const [key, plaintext] = [new Uint8Array(16), new Uint8Array(8192)];
  const { ciphertext } = encrypt(key, encryptionRow(name), { plaintext });
  expect(Buffer.from(ciphertext)).toEqual(longest(cipher, 8192));
  expect(decrypt(key, encryptionRow(name), { ciphertext })).toEqual(Buffer.from(plaintext));
});

test('what cannot be decrypted is always the same error, without a cause', () => {
  const key = new Uint8Array(16);
  const iv = new Uint8Array(16);
  const gcm = { iv: iv.subarray(4), tag: iv };
  const attempts: readonly (() => unknown)[] = [
    () => decrypt(key, encryptionRow('A128GCM'), { ...gcm, ciphertext: new Uint8Array(16) }),
    () => decrypt(key, encryptionRow('A128GCM'), { ...gcm, ciphertext: new Uint8Array() }),
    () => decrypt(key, encryptionRow('A128CBCPAD'), { iv, ciphertext: new Uint8Array(16) }),
    () => decrypt(key, encryptionRow('A128CBCPAD'), { iv, ciphertext: new Uint8Array(15) }),
    () => decrypt(key, encryptionRow('A128CBC'), { iv, ciphertext: new Uint8Array(15) }),
    () => decrypt(key, encryptionRow('A128KW'), { ciphertext: new Uint8Array(24) }),
    () => decrypt(key, encryptionRow('A128KW'), { ciphertext: new Uint8Array(1) }),
    () => decrypt(key, encryptionRow('A128KWPAD'), { ciphertext: new Uint8Array(16) }),
    () => decrypt(key, encryptionRow('A128KWPAD'), { ciphertext: new Uint8Array(17) }),
    () => decrypt(key, encryptionRow('A128KW'), { ciphertext: longest('id-aes128-wrap', 8200) }),
    () => decrypt(key, encryptionRow('A128KWPAD'), { ciphertext: longest('id-aes128-wrap-pad', 8193) }),
  ];
  for (const attempt of attempts) {
    try {
      attempt();
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(NotDecrypted);
      expect(error).toMatchObject({ name: 'NotDecrypted', message: 'the value cannot be decrypted' });
      expect(error).not.toHaveProperty('cause');
    }
  }
});

describe('WebCrypto agrees', () => {
  const { subtle } = webcrypto;
  const copy = (bytes: Uint8Array | undefined) => new Uint8Array(bytes ?? []);
  const plaintext = random.bytes(48);

  test.each(sizes)('AES-GCM with %s bits, in both directions', async (bits) => {
    const octets = random.bytes(bits / 8);
    const row = encryptionRow(`A${bits}GCM`);
    const key = await subtle.importKey('raw', copy(octets), 'AES-GCM', false, ['encrypt', 'decrypt']);
    const additionalData = copy(random.bytes(20));
    const ours = encrypt(octets, row, { plaintext, aad: additionalData });
    const parameters = { name: 'AES-GCM', iv: copy(ours.iv), additionalData };
    const joined = copy(Buffer.concat([ours.ciphertext, ours.tag ?? new Uint8Array()]));
    expect(Buffer.from(await subtle.decrypt(parameters, key, joined)).equals(plaintext)).toBe(true);
    const theirs = Buffer.from(await subtle.encrypt(parameters, key, copy(plaintext)));
    const sent = {
      ciphertext: theirs.subarray(0, -16),
      tag: theirs.subarray(-16),
      iv: ours.iv,
      aad: additionalData,
    };
    expect(decrypt(octets, row, sent).equals(plaintext)).toBe(true);
  });

  test.each(sizes)('AES-CBC with %s bits and padding, in both directions', async (bits) => {
    const octets = random.bytes(bits / 8);
    const row = encryptionRow(`A${bits}CBCPAD`);
    const key = await subtle.importKey('raw', copy(octets), 'AES-CBC', false, ['encrypt', 'decrypt']);
    const ours = encrypt(octets, row, { plaintext });
    const parameters = { name: 'AES-CBC', iv: copy(ours.iv) };
    expect(Buffer.from(await subtle.decrypt(parameters, key, copy(ours.ciphertext))).equals(plaintext)).toBe(
      true,
    );
    const theirs = new Uint8Array(await subtle.encrypt(parameters, key, copy(plaintext)));
    expect(decrypt(octets, row, { ciphertext: theirs, iv: ours.iv }).equals(plaintext)).toBe(true);
  });

  test.each(sizes)('AES-KW with %s bits, in both directions', async (bits) => {
    const octets = random.bytes(bits / 8);
    const row = encryptionRow(`A${bits}KW`);
    const key = await subtle.importKey('raw', copy(octets), 'AES-KW', false, ['wrapKey', 'unwrapKey']);
    const inner = await subtle.importKey('raw', copy(plaintext), { name: 'HMAC', hash: 'SHA-256' }, true, [
      'sign',
    ]);
    const theirs = new Uint8Array(await subtle.wrapKey('raw', inner, key, 'AES-KW'));
    const ours = encrypt(octets, row, { plaintext }).ciphertext;
    expect(Buffer.from(ours).equals(theirs)).toBe(true);
    expect(decrypt(octets, row, { ciphertext: theirs }).equals(plaintext)).toBe(true);
  });
});
