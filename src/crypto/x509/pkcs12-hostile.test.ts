/** PKCS#12 files by someone who knows the password: their MAC is right, and what it covers is an attack. */
import * as asn1js from 'asn1js';
import * as pkijs from 'pkijs';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  createIssuer,
  type KeyWithChain,
  keyWithChain,
  pemOf,
  pkcs8Of,
} from '../../../test/support/certificate-files.ts';
import { Failure } from '../../core/errors.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import { pfxToPem, readPfx } from './pkcs12.ts';

const password = 'known to the attacker';
const bagOids = {
  key: '1.2.840.113549.1.12.10.1.1',
  certificate: '1.2.840.113549.1.12.10.1.3',
  nested: '1.2.840.113549.1.12.10.1.6',
};
let of: KeyWithChain;

beforeAll(async () => {
  of = await keyWithChain(await createIssuer(), 'P-256');
});

function keyBag(): pkijs.SafeBag {
  return new pkijs.SafeBag({
    bagId: bagOids.key,
    bagValue: pkijs.PrivateKeyInfo.fromBER(Uint8Array.from(pkcs8Of(of.key))),
  });
}

function certBag(index = 0): pkijs.SafeBag {
  const certValue = new asn1js.OctetString({ valueHex: Uint8Array.from(of.chain[index] ?? []) });
  const bagValue = new pkijs.CertBag({ certId: '1.2.840.113549.1.9.22.1', certValue });
  return new pkijs.SafeBag({ bagId: bagOids.certificate, bagValue });
}

function nestedBag(safeBags: pkijs.SafeBag[]): pkijs.SafeBag {
  return new pkijs.SafeBag({ bagId: bagOids.nested, bagValue: new pkijs.SafeContents({ safeBags }) });
}

function safe(safeBags: pkijs.SafeBag[]): pkijs.ContentInfo {
  return dataOf(new pkijs.SafeContents({ safeBags }).toSchema().toBER());
}

function dataOf(octets: ArrayBuffer): pkijs.ContentInfo {
  const content = new asn1js.OctetString({ valueHex: octets });
  return new pkijs.ContentInfo({ contentType: pkijs.ContentInfo.DATA, content });
}

const safesOf = (...safeContents: pkijs.ContentInfo[]) =>
  new pkijs.AuthenticatedSafe({ safeContents }).toSchema().toBER();

/** The file around the octets, with a MAC that the library makes. */
async function stamped(content: ArrayBuffer, salt = new Uint8Array(8)): Promise<pkijs.PFX> {
  const mac = await pkijs.getCrypto(true).stampDataWithPassword({
    password: new Uint8Array(Buffer.from(password)).buffer,
    hashAlgorithm: 'SHA-256',
    salt: salt.buffer,
    iterationCount: 1,
    contentToStamp: content,
  });
  const digestAlgorithm = new pkijs.AlgorithmIdentifier({ algorithmId: '2.16.840.1.101.3.4.2.1' });
  const digest = new asn1js.OctetString({ valueHex: mac });
  return new pkijs.PFX({
    authSafe: dataOf(content),
    macData: new pkijs.MacData({
      mac: new pkijs.DigestInfo({ digestAlgorithm, digest }),
      macSalt: new asn1js.OctetString({ valueHex: salt }),
      iterations: 1,
    }),
  });
}

const encode = (pfx: pkijs.PFX) => new SecretBytes(new Uint8Array(pfx.toSchema().toBER()));

async function stampedSafes(...safes: pkijs.ContentInfo[]): Promise<SecretBytes> {
  return encode(await stamped(safesOf(...safes)));
}

async function refusal(pfx: SecretBytes): Promise<string> {
  const error = await readPfx(pfx, password).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof Failure)) throw new Error('not refused with a Failure', { cause: error });
  expect(error.kind).toBe('badParameter');
  return error.message;
}

const expectedPem = (count = 1) =>
  of.key.export({ format: 'pem', type: 'pkcs8' }) + of.chain.slice(0, count).map(pemOf).join('');

async function read(pfx: SecretBytes): Promise<string> {
  return (await pfxToPem(pfx, password)).exposeText();
}

test('the files of these tests are read when nothing is wrong with them', async () => {
  expect(await read(await stampedSafes(safe([keyBag(), certBag()])))).toBe(expectedPem());
});

describe('counts', () => {
  const repeated = <T>(count: number, make: () => T) => Array.from({ length: count }, make);

  test('a hundred bags are read, one more is refused', async () => {
    const bags = repeated(99, () => certBag());
    expect(await read(await stampedSafes(safe([keyBag(), ...bags])))).toBe(expectedPem());
    expect(await refusal(await stampedSafes(safe([keyBag(), certBag(), ...bags])))).toContain(
      'too many parts',
    );
  });

  test('bags count in whatever safe or bag they are', async () => {
    const half = () => repeated(51, () => certBag());
    expect(await refusal(await stampedSafes(safe(half()), safe(half())))).toContain('too many parts');
    expect(await refusal(await stampedSafes(safe([nestedBag(half()), nestedBag(half())])))).toContain(
      'too many parts',
    );
    const each = repeated(51, () => nestedBag([certBag()]));
    expect(await refusal(await stampedSafes(safe(each)))).toContain('too many parts');
  });

  test('keys count as certificates do', async () => {
    expect(await refusal(await stampedSafes(safe(repeated(101, keyBag))))).toContain('too many parts');
  });

  test('ten safes are read, one more is refused', async () => {
    const safes = repeated(9, () => safe([certBag()]));
    expect(await read(await stampedSafes(safe([keyBag()]), ...safes))).toBe(expectedPem());
    expect(await refusal(await stampedSafes(...safes, safe([]), safe([])))).toContain('too many parts');
  });

  test.each([2_000, 5_000])('%d bags are refused before they are looked at', async (count) => {
    const bag = keyBag();
    const pfx = await stampedSafes(safe(repeated(count, () => bag)));
    expect(pfx.length).toBeLessThan(1024 * 1024);
    expect(await refusal(pfx)).toBe('Format of Pkcs12 value is invalid.');
  });

  test('a million octets of NULL', async () => {
    const nulls = Buffer.alloc(1_000_000, Buffer.from('0500', 'hex'));
    const header = Buffer.from('30830f4240', 'hex');
    const content = new Uint8Array(Buffer.concat([header, nulls])).buffer;
    expect(await refusal(encode(await stamped(content)))).toBe('Format of Pkcs12 value is invalid.');
  });
});

describe('nesting', () => {
  function nested(depth: number): pkijs.SafeBag[] {
    let bags = [keyBag(), certBag()];
    for (let level = 0; level < depth; level += 1) bags = [nestedBag(bags)];
    return bags;
  }

  test('bags in bags are read', async () => {
    expect(await read(await stampedSafes(safe(nested(3))))).toBe(expectedPem());
  });

  test.each([20, 90, 1_000])('%d levels are refused', async (depth) => {
    // The library writes them by recursion as well, so the octets are put together level by level.
    let octets: Buffer = Buffer.from(
      new Uint8Array(new pkijs.SafeContents({ safeBags: [keyBag()] }).toSchema().toBER()),
    );
    const oid = Buffer.from(new asn1js.ObjectIdentifier({ value: bagOids.nested }).toBER());
    for (let level = 0; level < depth; level += 1)
      octets = tlv(0x30, tlv(0x30, Buffer.concat([oid, tlv(0xa0, octets)])));
    const safes = safesOf(dataOf(new Uint8Array(octets).buffer));
    expect(await refusal(encode(await stamped(safes)))).toBe('Format of Pkcs12 value is invalid.');
  });

  function tlv(tag: number, content: Uint8Array): Buffer {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(content.length);
    return Buffer.concat([Buffer.of(tag, 0x84), length, content]);
  }
});

describe('lengths', () => {
  test('a file above 1 MiB is refused unread', async () => {
    const text = await refusal(new SecretBytes(Buffer.alloc(1024 * 1024 + 1)));
    expect(text).toBe('Pkcs12 value is invalid: it is too long.');
  });

  test('a salt of half a million octets is read like any other', async () => {
    const content = safesOf(safe([keyBag(), certBag()]));
    expect(await read(encode(await stamped(content, new Uint8Array(500_000).fill(7))))).toBe(expectedPem());
  });

  test('an octet after the file is refused', async () => {
    const pfx = await stampedSafes(safe([keyBag(), certBag()]));
    const longer = Buffer.concat([pfx.exposeBytes(), Buffer.of(0)]);
    expect(await refusal(new SecretBytes(longer))).toBe('Format of Pkcs12 value is invalid.');
  });

  test('an octet after a certificate is refused', async () => {
    const der = Buffer.concat([of.chain[0] ?? Buffer.alloc(0), Buffer.of(0)]);
    const certValue = new asn1js.OctetString({ valueHex: new Uint8Array(der) });
    const bagValue = new pkijs.CertBag({ certId: '1.2.840.113549.1.9.22.1', certValue });
    const bag = new pkijs.SafeBag({ bagId: bagOids.certificate, bagValue });
    expect(await refusal(await stampedSafes(safe([keyBag(), bag])))).toBe(
      'Format of Pkcs12 value is invalid.',
    );
  });

  test('indefinite lengths and strings in pieces are BER, and read', async () => {
    const der = (await stampedSafes(safe([keyBag(), certBag(), certBag(1)]))).exposeBytes();
    const ber = toBer(asn1js.fromBER(Uint8Array.from(der)).result);
    expect(ber.length).toBeGreaterThan(der.length);
    expect(ber[1]).toBe(0x80);
    expect(await read(new SecretBytes(ber))).toBe(expectedPem(2));
  });

  test.each([
    ['an end that never comes', (ber: Buffer) => ber.subarray(0, -2)],
    ['an end too many', (ber: Buffer) => Buffer.concat([ber, Buffer.of(0, 0)])],
  ])('indefinite lengths with %s are refused', async (_, change) => {
    const der = (await stampedSafes(safe([keyBag(), certBag()]))).exposeBytes();
    const ber = change(toBer(asn1js.fromBER(Uint8Array.from(der)).result));
    expect(await refusal(new SecretBytes(ber))).toBe('Format of Pkcs12 value is invalid.');
  });

  /** Every constructed value with an indefinite length, every OCTET STRING in pieces of 100 octets (X.690 §8.1.3.6, §8.7.3). */
  function toBer(block: asn1js.BaseBlock): Buffer {
    const tag = Buffer.from(block.toBER()).subarray(0, 1);
    if (block instanceof asn1js.Constructed) {
      return Buffer.concat([tag, Buffer.of(0x80), ...block.valueBlock.value.map(toBer), Buffer.of(0, 0)]);
    }
    if (!(block instanceof asn1js.OctetString)) return Buffer.from(block.toBER());
    const octets = Buffer.from(block.getValue());
    if (octets.length <= 100) return Buffer.from(block.toBER());
    const pieces: Buffer[] = [];
    for (let at = 0; at < octets.length; at += 100) {
      const piece = octets.subarray(at, at + 100);
      pieces.push(Buffer.concat([Buffer.of(4, piece.length), piece]));
    }
    return Buffer.concat([Buffer.of(0x24, 0x80), ...pieces, Buffer.of(0, 0)]);
  }
});

describe('content of other kinds', () => {
  test('a safe that is encrypted to a certificate', async () => {
    const content = new asn1js.Sequence();
    const enveloped = new pkijs.ContentInfo({ contentType: pkijs.ContentInfo.ENVELOPED_DATA, content });
    expect(await refusal(await stampedSafes(enveloped))).toContain('encrypted to a certificate');
  });

  test('a file that is signed instead of stamped', async () => {
    const pfx = await stamped(safesOf(safe([keyBag()])));
    pfx.authSafe.contentType = pkijs.ContentInfo.SIGNED_DATA;
    expect(await refusal(encode(pfx))).toContain('no MAC');
  });

  test('a bag of an unknown kind', async () => {
    const bag = keyBag();
    bag.bagId = '1.2.3.4';
    expect(await refusal(await stampedSafes(safe([bag])))).toBe('Format of Pkcs12 value is invalid.');
  });

  test('attributes that are not what their names say do no harm', async () => {
    const bag = certBag();
    const values = [new asn1js.Sequence(), new asn1js.Null()];
    bag.bagAttributes = ['1.2.840.113549.1.9.21', '1.2.840.113549.1.9.20', '1.2.3'].map(
      (type) => new pkijs.Attribute({ type, values }),
    );
    expect(await read(await stampedSafes(safe([keyBag(), bag])))).toBe(expectedPem());
  });
});
