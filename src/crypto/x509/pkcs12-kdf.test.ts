import { describe, expect, test } from 'vitest';
import {
  derivePkcs12,
  encodePkcs12Password,
  newWorkBudget,
  pkcs12Digests,
  pkcs12Purpose,
  spendWork,
} from './pkcs12-kdf.ts';

const { key, iv, mac } = pkcs12Purpose;
const sha1 = '1.3.14.3.2.26';
const sha256 = '2.16.840.1.101.3.4.2.1';
const sha384 = '2.16.840.1.101.3.4.2.2';
const sha512 = '2.16.840.1.101.3.4.2.3';

/** The SHA-1 rows are widely published vectors of this function; the rest was made with OpenSSL's PKCS12KDF. */
const vectors = [
  {
    oid: sha1,
    purpose: key,
    password: 'smeg',
    salt: '0a58cf64530d823f',
    iterations: 1,
    derived: '8aaae6297b6cb04642ab5b077851284eb7128f1a2a7fbca3',
  },
  {
    oid: sha1,
    purpose: iv,
    password: 'smeg',
    salt: '0a58cf64530d823f',
    iterations: 1,
    derived: '79993dfe048d3b76',
  },
  {
    oid: sha1,
    purpose: key,
    password: 'queeg',
    salt: '05dec959acff72f7',
    iterations: 1000,
    derived: 'ed2034e36328830ff09df1e1a07dd357185dac0d4f9eb3d4',
  },
  {
    oid: sha1,
    purpose: iv,
    password: 'queeg',
    salt: '05dec959acff72f7',
    iterations: 1000,
    derived: '11dedad7758d4860',
  },
  {
    oid: sha1,
    purpose: mac,
    password: 'smeg',
    salt: '3d83c0e4546ac140',
    iterations: 1,
    derived: '8d967d88f6caa9d714800ab3d48051d63f73a312',
  },
  // More than one and more than two outputs of the hash.
  {
    oid: sha256,
    purpose: mac,
    password: 'smeg',
    salt: '3d83c0e4546ac140',
    iterations: 3,
    derived:
      '3e54605410fee189b656753bc2b4affc4fc832bdf864bfb59cd4bf66904ed7b1e12409d3e8c2b280cf1e49174215019b5eb3cf04f55d4822f3aae2a374858049b2103878af351d42a1db991db0977fe1e6b8750904009e79d9cf118a9fa95952c14c3f65',
  },
  {
    oid: sha512,
    purpose: mac,
    password: 'smeg',
    salt: '3d83c0e4546ac140',
    iterations: 3,
    derived:
      'd222cc2eb4f62adbcd1efb23e9474d826f54235251dcc026794cf1318d1ef538bf7be640be3c99cf68698642895d956dbac1ad50629ae55ebee7b0d8b131cb8eb36fa42068286f5fac143c58e750ff19d0a1058e823a2cf02a07449d97af2132230bf3cd7433f70e6d5a07b69177dd7c7d36e5c5b5e7f23d775ce0d8ca9710be65efc1f733c64aa2b0ee4365f0ff8e5d27a8281744db',
  },
  {
    oid: sha384,
    purpose: mac,
    password: 'smeg',
    salt: '3d83c0e4546ac140',
    iterations: 3,
    derived: 'bc7f83902cf40346f1c5be8578467ab015f6b51c',
  },
];

describe('derivePkcs12', () => {
  test.each(vectors)('$oid, purpose $purpose, $password, $iterations times', async (vector) => {
    const digest = pkcs12Digests[vector.oid];
    if (digest === undefined) throw new Error('no such digest');
    const derived = await derivePkcs12(newWorkBudget(), {
      digest,
      purpose: vector.purpose,
      password: encodePkcs12Password(vector.password),
      salt: Buffer.from(vector.salt, 'hex'),
      iterations: vector.iterations,
      length: vector.derived.length / 2,
    });
    expect(Buffer.from(derived).toString('hex')).toBe(vector.derived);
  });

  test('a password of no octets is not the empty password (OpenSSL PKCS12KDF)', async () => {
    const input = {
      digest: { name: 'sha256', block: 64, output: 32 } as const,
      purpose: mac,
      salt: Buffer.from('3d83c0e4546ac140', 'hex'),
      iterations: 3,
      length: 32,
    };
    const none = await derivePkcs12(newWorkBudget(), { ...input, password: new Uint8Array() });
    expect(Buffer.from(none).toString('hex')).toBe(
      'e9f5d0fd8b56cc6e8a3996ea669e03f2e58bc1348e936082f56b9f70b2ca03df',
    );
    const empty = await derivePkcs12(newWorkBudget(), { ...input, password: encodePkcs12Password('') });
    expect(empty).not.toEqual(none);
  });

  test('lets other work run between its slices', async () => {
    let turns = 0;
    let running = true;
    const count = () => {
      turns += 1;
      if (running) setImmediate(count);
    };
    setImmediate(count);
    await derivePkcs12(newWorkBudget(), {
      digest: { name: 'sha1', block: 64, output: 20 },
      purpose: mac,
      password: encodePkcs12Password('x'),
      salt: Buffer.alloc(8),
      iterations: 60_000,
      length: 20,
    });
    running = false;
    expect(turns).toBeGreaterThanOrEqual(4);
  });

  test('charges every output of the hash', async () => {
    const budget = { remaining: 10 };
    const derived = derivePkcs12(budget, {
      digest: { name: 'sha1', block: 64, output: 20 },
      purpose: key,
      password: encodePkcs12Password('x'),
      salt: Buffer.alloc(8),
      iterations: 6,
      length: 24,
    });
    await expect(derived).rejects.toMatchObject({ kind: 'badParameter' });
  });
});

test('encodePkcs12Password gives UTF-16 big endian with a closing zero (RFC 7292 appendix B.1)', () => {
  expect(Buffer.from(encodePkcs12Password('Beavis')).toString('hex')).toBe('0042006500610076006900730000');
  expect(Buffer.from(encodePkcs12Password('')).toString('hex')).toBe('0000');
  expect(Buffer.from(encodePkcs12Password('𝄞')).toString('hex')).toBe('d834dd1e0000');
});

describe('spendWork', () => {
  test.each([0, -1, 1.5, Number.NaN, 1_000_001, 2 ** 31])('refuses %d iterations', (iterations) => {
    expect(() => spendWork(newWorkBudget(), iterations)).toThrow(/^(Pkcs12|Format of Pkcs12) value is/);
  });

  test('bounds the sum over one file, not only each count', () => {
    const budget = newWorkBudget();
    for (let i = 0; i < 3; i += 1) spendWork(budget, 1_000_000);
    expect(() => spendWork(budget, 1)).toThrow('too large');
  });
});
