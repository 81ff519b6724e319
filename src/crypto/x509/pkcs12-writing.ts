/**
 * PKCS#12 (PFX, RFC 7292) and PEM of a certificate with its chain and, unless it stays here, its private key: what a client
 * downloads. The PFX has one of two protections: that which every reader knows, for the empty password, and for any other
 * AES-256.
 */
import { createCipheriv, createHash, createHmac, webcrypto } from 'node:crypto';
import type { OctetString } from 'asn1js';
import type {
  AlgorithmIdentifier,
  Attribute,
  ContentInfo,
  CryptoEngine,
  EncryptedContentInfo,
  MacData,
  SafeBag,
} from 'pkijs';
import type { Random } from '../../core/random.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import { certificatePem, privateKeyPem } from './pem.ts';
import {
  derivePkcs12,
  encodePkcs12Password,
  newWorkBudget,
  type Pkcs12Digest,
  pkcs12Purpose,
  pkcs12Sha1,
  pkcs12Sha256,
} from './pkcs12-kdf.ts';
import {
  certBagOid,
  friendlyNameOid,
  localKeyIdOid,
  sha1Oid,
  sha256Oid,
  shroudedKeyBagOid,
  tripleDesOid,
  x509CertificateOid,
} from './pkcs12-oids.ts';

/** A certificate to be written. */
export interface CertificateFile {
  /** PKCS#8, DER; undefined: the file holds certificates only. */
  readonly privateKey: SecretBytes | undefined;
  /** DER, at least one; the order is kept. */
  readonly chain: readonly Uint8Array[];
}

export interface PfxInput extends CertificateFile {
  /** May be empty, as it is for a vault's secrets. */
  readonly password: string;
  /** Where in the chain the key's certificate is; 0 by default. */
  readonly leaf?: number | undefined;
  /** The name that Windows and Java show; the fingerprint if undefined. */
  readonly friendlyName?: string | undefined;
  readonly random: Random;
}

/** How a file's parts are encrypted, and with which digest its MAC is made. */
interface Protection {
  readonly iterations: number;
  readonly macOid: string;
  readonly macDigest: Pkcs12Digest;
  readonly encrypt: (writer: Writer, content: ArrayBuffer) => Promise<Encrypted>;
}

/**
 * Everyone knows the empty password, so that nothing protects, iterations least of all, and all that counts is who can
 * read it: RFC 7292 appendix C, which is all that Go's `golang.org/x/crypto` (in Azure's own library for Go and in
 * Terraform's azurerm provider), Java before 8u301 and Windows before 10 1709 read.
 */
const everybodys: Protection = {
  iterations: 1,
  macOid: sha1Oid,
  macDigest: pkcs12Sha1,
  encrypt: encryptTripleDes,
};

/** For the password of a person: ten times Java's count, a tenth of a second each for the MAC and for each part. */
const strong: Protection = {
  iterations: 100_000,
  macOid: sha256Oid,
  macDigest: pkcs12Sha256,
  encrypt: encryptAes,
};

/** Octets, as NIST SP 800-132 §5.1 asks for at least. */
const saltLength = 16;

/** What the parts of one file have in common. */
interface Writer {
  readonly random: Random;
  readonly password: string;
  readonly protection: Protection;
}

interface Encrypted {
  readonly encryptedContent: OctetString;
  readonly encryptedContentInfo: EncryptedContentInfo;
}

/** Writes the PFX, DER. The key's octets stay the caller's. Throws for a chain of no certificate. */
export async function writePfx(input: PfxInput): Promise<SecretBytes> {
  const { privateKey, chain, password, random, leaf: place = 0 } = input;
  const leaf = chain[place];
  if (leaf === undefined) throw new RangeError('a PFX needs the certificate of its key');
  const { AuthenticatedSafe, PFX } = await import('pkijs');
  const writer = { random, password, protection: password === '' ? everybodys : strong };
  const attributes = await entryAttributes(leaf, input.friendlyName);
  const safes = [await encryptedSafe(writer, await certBags(chain, { place, attributes }))];
  if (privateKey !== undefined) safes.push(await clearSafe([await keyBag(writer, privateKey, attributes)]));
  const content = new AuthenticatedSafe({ safeContents: safes }).toSchema().toBER();
  const pfx = new PFX({
    authSafe: await dataOf(content),
    macData: await macOf(writer, new Uint8Array(content)),
  });
  return new SecretBytes(new Uint8Array(pfx.toSchema().toBER()));
}

/** PEM, LF line ends: the key as PKCS#8, then the certificates in their order. Throws for what is neither. */
export function writePem({ privateKey, chain }: CertificateFile): SecretBytes {
  const blocks = chain.map(certificatePem);
  if (privateKey !== undefined) blocks.unshift(privateKeyPem(privateKey).exposeText());
  return SecretBytes.fromText(blocks.join(''));
}

/** The library's engine over WebCrypto, with the randomness that we were given. */
async function engineOf(random: Random): Promise<CryptoEngine> {
  const { CryptoEngine } = await import('pkijs');
  const crypto: Crypto = {
    subtle: webcrypto.subtle,
    randomUUID: () => webcrypto.randomUUID(),
    getRandomValues(array) {
      if (array !== null)
        new Uint8Array(array.buffer, array.byteOffset, array.byteLength).set(random.bytes(array.byteLength));
      return array;
    },
  };
  return new CryptoEngine({ name: 'webcrypto', crypto });
}

/** Which certificate is the key's, their common identifier says to readers (RFC 7292 §4.2). */
async function certBags(
  chain: readonly Uint8Array[],
  leaf: { readonly place: number; readonly attributes: Attribute[] },
): Promise<SafeBag[]> {
  const { OctetString } = await import('asn1js');
  const { CertBag, SafeBag } = await import('pkijs');
  return chain.map((der, index) => {
    const certValue = new OctetString({ valueHex: new Uint8Array(der) });
    const bagValue = new CertBag({ certId: x509CertificateOid, certValue });
    return new SafeBag({
      bagId: certBagOid,
      bagValue,
      ...(index === leaf.place ? { bagAttributes: leaf.attributes } : {}),
    });
  });
}

async function keyBag(writer: Writer, privateKey: SecretBytes, bagAttributes: Attribute[]): Promise<SafeBag> {
  const { PKCS8ShroudedKeyBag, SafeBag } = await import('pkijs');
  const pkcs8 = Uint8Array.from(privateKey.exposeBytes());
  try {
    const { encryptedContentInfo, encryptedContent } = await writer.protection.encrypt(writer, pkcs8.buffer);
    const bagValue = new PKCS8ShroudedKeyBag({
      encryptionAlgorithm: encryptedContentInfo.contentEncryptionAlgorithm,
      encryptedData: encryptedContent,
    });
    return new SafeBag({ bagId: shroudedKeyBagOid, bagValue, bagAttributes });
  } finally {
    pkcs8.fill(0);
  }
}

async function entryAttributes(leaf: Uint8Array, friendlyName: string | undefined): Promise<Attribute[]> {
  const { BmpString, OctetString } = await import('asn1js');
  const { Attribute } = await import('pkijs');
  // OpenSSL's choice; any octets would do that the key and its certificate share.
  const fingerprint = createHash('sha1').update(leaf).digest();
  const name = friendlyName ?? fingerprint.toString('hex');
  const attributes = [
    new Attribute({ type: friendlyNameOid, values: [new BmpString({ value: name })] }),
    new Attribute({
      type: localKeyIdOid,
      values: [new OctetString({ valueHex: new Uint8Array(fingerprint) })],
    }),
  ];
  // The order that DER wants of a set (X.690 §11.6).
  const encoded = (attribute: Attribute) => new Uint8Array(attribute.toSchema().toBER());
  return attributes.sort((one, other) => Buffer.compare(encoded(one), encoded(other)));
}

async function encryptedSafe(writer: Writer, safeBags: SafeBag[]): Promise<ContentInfo> {
  const { ContentInfo, EncryptedData, SafeContents } = await import('pkijs');
  const bags = new SafeContents({ safeBags }).toSchema().toBER();
  const { encryptedContentInfo } = await writer.protection.encrypt(writer, bags);
  const content = new EncryptedData({ encryptedContentInfo }).toSchema();
  return new ContentInfo({ contentType: ContentInfo.ENCRYPTED_DATA, content });
}

/** Its bags are encrypted one by one. */
async function clearSafe(safeBags: SafeBag[]): Promise<ContentInfo> {
  const { SafeContents } = await import('pkijs');
  return dataOf(new SafeContents({ safeBags }).toSchema().toBER());
}

async function dataOf(octets: ArrayBuffer): Promise<ContentInfo> {
  const { OctetString } = await import('asn1js');
  const { ContentInfo } = await import('pkijs');
  return new ContentInfo({ contentType: ContentInfo.DATA, content: new OctetString({ valueHex: octets }) });
}

/** AES-256 in CBC mode under PBKDF2 with HMAC-SHA-256 (RFC 8018 §6.2). */
async function encryptAes(writer: Writer, contentToEncrypt: ArrayBuffer): Promise<Encrypted> {
  const engine = await engineOf(writer.random);
  const { ContentInfo } = await import('pkijs');
  const made = await engine.encryptEncryptedContentInfo({
    password: new Uint8Array(Buffer.from(writer.password)).buffer,
    contentEncryptionAlgorithm: { name: 'AES-CBC', length: 256 },
    hmacHashAlgorithm: 'SHA-256',
    iterationCount: writer.protection.iterations,
    contentToEncrypt,
    contentType: ContentInfo.DATA,
  });
  return encryptedBy(made.contentEncryptionAlgorithm, made.getEncryptedContent());
}

/** `pbeWithSHAAnd3-KeyTripleDES-CBC` (RFC 7292 appendix C). */
async function encryptTripleDes(writer: Writer, content: ArrayBuffer): Promise<Encrypted> {
  const { Integer, OctetString, Sequence } = await import('asn1js');
  const { AlgorithmIdentifier } = await import('pkijs');
  const { iterations } = writer.protection;
  const salt = writer.random.bytes(saltLength);
  const from = { digest: pkcs12Sha1, password: encodePkcs12Password(writer.password), salt, iterations };
  const budget = newWorkBudget();
  const key = await derivePkcs12(budget, { ...from, purpose: pkcs12Purpose.key, length: 24 });
  const iv = await derivePkcs12(budget, { ...from, purpose: pkcs12Purpose.iv, length: 8 });
  const cipher = createCipheriv('des-ede3-cbc', key, iv);
  const octets = Buffer.concat([cipher.update(new Uint8Array(content)), cipher.final()]);
  key.fill(0);
  const parameters = [
    new OctetString({ valueHex: new Uint8Array(salt) }),
    new Integer({ value: iterations }),
  ];
  const algorithmParams = new Sequence({ value: parameters });
  const algorithm = new AlgorithmIdentifier({ algorithmId: tripleDesOid, algorithmParams });
  return encryptedBy(algorithm, Uint8Array.from(octets).buffer);
}

async function encryptedBy(algorithm: AlgorithmIdentifier, octets: ArrayBuffer): Promise<Encrypted> {
  const { OctetString } = await import('asn1js');
  const { ContentInfo, EncryptedContentInfo } = await import('pkijs');
  const encryptedContent = new OctetString({ valueHex: octets });
  const encryptedContentInfo = new EncryptedContentInfo({
    contentType: ContentInfo.DATA,
    contentEncryptionAlgorithm: algorithm,
    encryptedContent,
    // Otherwise the library cuts it into pieces of a kilobyte, which only BER allows.
    disableSplit: true,
  });
  return { encryptedContent, encryptedContentInfo };
}

/** The library could make it, but only in one piece on the event loop. An empty password is its closing zero, as on Windows. */
async function macOf({ random, password, protection }: Writer, content: Uint8Array): Promise<MacData> {
  const { Null, OctetString } = await import('asn1js');
  const { AlgorithmIdentifier, DigestInfo, MacData } = await import('pkijs');
  const { iterations, macDigest: digest, macOid } = protection;
  const salt = random.bytes(saltLength);
  const key = await derivePkcs12(newWorkBudget(), {
    ...{ digest, salt, iterations, purpose: pkcs12Purpose.mac, length: digest.output },
    password: encodePkcs12Password(password),
  });
  const mac = createHmac(digest.name, key).update(content).digest();
  key.fill(0);
  return new MacData({
    mac: new DigestInfo({
      digestAlgorithm: new AlgorithmIdentifier({ algorithmId: macOid, algorithmParams: new Null() }),
      digest: new OctetString({ valueHex: new Uint8Array(mac) }),
    }),
    macSalt: new OctetString({ valueHex: new Uint8Array(salt) }),
    // One is the default, which DER leaves out (X.690 §11.5) and the library would write.
    ...(iterations === 1 ? {} : { iterations }),
  });
}
