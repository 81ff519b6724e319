/**
 * Judges certificates in DER by rules of RFC 5280 and of DER, in the manner of public linters and with none of the code
 * that made them: the octets are walked with the ASN.1 library alone.
 */
import {
  Boolean as Asn1Boolean,
  Set as Asn1Set,
  type BaseBlock,
  BitString,
  Constructed,
  fromBER,
  GeneralizedTime,
  Integer,
  ObjectIdentifier,
  OctetString,
  Primitive,
  PrintableString,
  Sequence,
  UTCTime,
} from 'asn1js';

interface FoundExtension {
  readonly critical: boolean;
  readonly value: BaseBlock;
}

const oids = {
  ski: '2.5.29.14',
  usage: '2.5.29.15',
  san: '2.5.29.17',
  basic: '2.5.29.19',
  aki: '2.5.29.35',
  eku: '2.5.29.37',
};

/** The rules that the certificate breaks, in words; none for a good one. */
export function lintCertificate(der: Uint8Array): string[] {
  const faults: string[] = [];
  const expect = (holds: boolean, rule: string) => {
    if (!holds) faults.push(rule);
  };
  const whole = decoded(der);
  lintDer(whole, expect);
  const [tbs, algorithm, signature] = children(whole);
  expect(
    signature instanceof BitString && signature.valueBlock.unusedBits === 0,
    'the signature is whole octets',
  );
  const [version, serial, inner, issuer, validity, subject, spki, ...rest] = children(tbs);
  expect(hex(version) === 'a003020102', 'the version is 3');
  expect(hex(inner) === hex(algorithm), 'both signature algorithms are the same');
  lintSerial(serial, expect);
  for (const time of children(validity)) lintTime(time, expect);
  expect(spki instanceof Sequence && children(spki).length === 2, 'there is a key');
  expect(
    rest.length === 1 && rest[0]?.idBlock.tagNumber === 3,
    'there are extensions, and no unique identifiers',
  );
  const extensions = extensionsOf(children(rest[0])[0], expect);
  lintExtensions(extensions, { hasSubject: children(subject).length > 0, expect });
  const isSelfIssued = hex(issuer) === hex(subject);
  expect(isSelfIssued || children(issuer).length > 0, 'the issuer has a name (RFC 5280 §4.1.2.4)');
  return faults;
}

type Expect = (holds: boolean, rule: string) => void;

function decoded(der: Uint8Array): BaseBlock {
  const { offset, result } = fromBER(Uint8Array.from(der));
  if (offset !== der.length) throw new Error('not one value of ASN.1');
  return result;
}

function children(block: BaseBlock | undefined): BaseBlock[] {
  return block instanceof Constructed ? block.valueBlock.value : [];
}

function hex(block: BaseBlock | undefined): string {
  return Buffer.from(block?.valueBeforeDecodeView ?? []).toString('hex');
}

/** Lengths in the shortest form, sets in order, true as 255, integers without idle octets, strings of their letters. */
function lintDer(block: BaseBlock, expect: Expect): void {
  const { length, blockLength, isIndefiniteForm } = block.lenBlock;
  const shortest = length < 0x80 ? 1 : length < 0x100 ? 2 : 3;
  expect(!isIndefiniteForm && blockLength === shortest, 'lengths are in the shortest form');
  if (block instanceof Asn1Boolean) expect(hex(block) === '0101ff', 'only true is said, as 255');
  if (block instanceof Integer)
    expect(!/^02..(?:00[0-7]|ff[89a-f])../.test(hex(block)), 'integers are in the shortest form');
  if (block instanceof PrintableString)
    expect(
      /^[A-Za-z0-9 '()+,\-./:=?]+$/.test(block.valueBlock.value),
      'PrintableString has its letters only',
    );
  if (block instanceof Asn1Set) {
    const members = children(block).map(hex);
    expect(
      members.every((member, index) => index === 0 || (members[index - 1] ?? '') <= member),
      'sets are in order',
    );
  }
  // Octets within octet and bit strings are values of their own, which not all of them are.
  if (block instanceof Constructed) for (const child of children(block)) lintDer(child, expect);
}

function lintSerial(serial: BaseBlock | undefined, expect: Expect): void {
  const octets = Buffer.from(hex(serial).slice(4), 'hex');
  expect(
    serial instanceof Integer && octets.length <= 20,
    'the serial has at most 20 octets (RFC 5280 §4.1.2.2)',
  );
  expect((octets[0] ?? 0x80) < 0x80 && octets.some((octet) => octet !== 0), 'the serial is positive');
  expect(octets.length >= 9, 'the serial has 64 random bits and more');
}

function lintTime(time: BaseBlock, expect: Expect): void {
  const text = Buffer.from(hex(time).slice(4), 'hex').toString('latin1');
  if (time instanceof GeneralizedTime)
    expect(
      /^(?:20[5-9]|2[1-9]|[3-9])[0-9]*Z$/.test(text) && text.length === 15,
      'GeneralizedTime is from 2050 on, in seconds',
    );
  else expect(time instanceof UTCTime && /^[0-9]{12}Z$/.test(text), 'UTCTime is in seconds, with Z');
}

function extensionsOf(list: BaseBlock | undefined, expect: Expect): Map<string, FoundExtension> {
  const found = new Map<string, FoundExtension>();
  for (const extension of children(list)) {
    const [type, second, third] = children(extension);
    const critical = second instanceof Asn1Boolean;
    const value = critical ? third : second;
    if (!(type instanceof ObjectIdentifier && value instanceof OctetString))
      throw new Error('an extension is malformed');
    const oid = type.valueBlock.toString();
    expect(!found.has(oid), 'no extension is there twice (RFC 5280 §4.2)');
    const inner = decoded(value.valueBlock.valueHexView);
    lintDer(inner, expect);
    found.set(oid, { critical, value: inner });
  }
  return found;
}

function lintExtensions(
  extensions: ReadonlyMap<string, FoundExtension>,
  { hasSubject, expect }: { hasSubject: boolean; expect: Expect },
): void {
  const basic = extensions.get(oids.basic);
  const [ca, depth] = children(basic?.value);
  const isAuthority = ca instanceof Asn1Boolean;
  expect(
    basic !== undefined && (!isAuthority || basic.critical),
    'basic constraints of authorities are critical (§4.2.1.9)',
  );
  expect(
    isAuthority || (ca === undefined && depth === undefined),
    'only authorities have a path length (§4.2.1.9)',
  );
  const usage = extensions.get(oids.usage);
  if (usage !== undefined) lintUsage(usage, expect);
  if (isAuthority)
    expect(usage !== undefined && usageBits(usage)[5] === '1', 'authorities sign certificates (§4.2.1.3)');
  const names = extensions.get(oids.san);
  expect(hasSubject || names?.critical === true, 'names are critical when there is no subject (§4.2.1.6)');
  if (names !== undefined) {
    expect(!hasSubject || !names.critical, 'names are not critical when there is a subject');
    expect(children(names.value).length > 0, 'the names are not empty (§4.2.1.6)');
    for (const name of children(names.value)) lintName(name, expect);
  }
  const extended = extensions.get(oids.eku);
  if (extended !== undefined)
    expect(children(extended.value).length > 0, 'extended usages are not empty (§4.2.1.12)');
  const subjectKey = extensions.get(oids.ski);
  expect(
    subjectKey?.critical === false && hex(subjectKey.value).length === 44,
    'the key has an identifier of SHA-1 (§4.2.1.2)',
  );
  const authorityKey = extensions.get(oids.aki);
  expect(
    authorityKey?.critical === false && hex(authorityKey.value).startsWith('30168014'),
    "the issuer's key is named (§4.2.1.1)",
  );
}

function usageBits({ value }: FoundExtension): string {
  if (!(value instanceof BitString)) return '';
  const bits = Array.from(value.valueBlock.valueHexView, (octet) => octet.toString(2).padStart(8, '0')).join(
    '',
  );
  return bits.slice(0, bits.length - value.valueBlock.unusedBits);
}

function lintUsage(usage: FoundExtension, expect: Expect): void {
  expect(usage.critical, 'key usage is critical (§4.2.1.3)');
  expect(usageBits(usage).endsWith('1'), 'the bits end with one that is set (X.690 §11.2.2)');
}

function lintName(name: BaseBlock, expect: Expect): void {
  const octets = name instanceof Primitive ? Buffer.from(name.valueBlock.valueHexView) : Buffer.alloc(0);
  const text = octets.toString('latin1');
  const kind = name.idBlock.tagNumber;
  expect(name.idBlock.tagClass === 3, 'names are tagged');
  if (kind === 1) expect(/^[!-~]+@[!-~]+$/.test(text), 'an e-mail address is a mailbox in ASCII');
  if (kind === 2)
    expect(/^(?:\*\.)?(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}$/.test(text), 'a DNS name is one');
  if (kind === 6) expect(/^[A-Za-z][A-Za-z0-9+.-]*:[!-~]+$/.test(text), 'a URI has a scheme');
  if (kind === 7) expect(octets.length === 4 || octets.length === 16, 'an address has 4 or 16 octets');
}
