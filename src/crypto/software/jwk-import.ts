/**
 * Private keys from elsewhere, as JWK (RFC 7518 §6, AKP of draft-ietf-cose-dilithium) or PKCS#8. Whatever way a key
 * comes in, it passes the checks of this file; what does not is refused with `Failure('badParameter')`.
 */
import { createECDH, createPrivateKey, type KeyObject } from 'node:crypto';
import { SecretBytes } from '../../core/secret-bytes.ts';
import type { KeySpec, NewKey, PrivateJwk } from '../provider.ts';
import { invalidKey, type JwkMembers, parseOctets, parseOctetsOf } from './jwk-members.ts';
import { exportJwk, isPair, newKeyOf, parsePkcs8 } from './key-pair.ts';
import { type Curve, findCurve, findMlDsa } from './parameters.ts';
import type { PoolLanes } from './pool.ts';
import { checkRsa } from './rsa-import.ts';

/** Octets of a symmetric key: AES-128, AES-192, AES-256. */
export const octetLengths: readonly number[] = [16, 24, 32];
const longestOctets = 32;
/** FIPS 204 algorithm 1: the seed, which is the `priv` of JWKs. */
const mlDsaSeed = 32;

/** Checks a JWK and takes it in. */
export function importJwk(pool: PoolLanes, jwk: PrivateJwk): Promise<NewKey> {
  return importers[jwk.kty](pool, jwk.members);
}

type Importer = (pool: PoolLanes, members: JwkMembers) => Promise<NewKey>;

const importers: Readonly<Record<PrivateJwk['kty'], Importer>> = {
  RSA: importRsa,
  EC: importEc,
  oct: importOctetJwk,
  AKP: importAkp,
};

async function importRsa(pool: PoolLanes, members: JwkMembers): Promise<NewKey> {
  const { jwk, bits, exponent } = await checkRsa(pool, members);
  return takeIn(pool, { type: 'RSA', bits, exponent }, load(jwk));
}

async function importEc(pool: PoolLanes, members: JwkMembers): Promise<NewKey> {
  const curve = findCurve(members.crv);
  if (curve === undefined) throw invalidKey('crv is missing or not a curve that is supported');
  const x = parseOctetsOf(members, 'x', curve.bytes);
  const y = parseOctetsOf(members, 'y', curve.bytes);
  if (members.d === undefined) throw invalidKey('it has no private part (d)');
  const d = parseOctetsOf(members, 'd', curve.bytes);
  assertPointOf(curve, { d, x, y });
  const privateKey = load({ kty: 'EC', crv: curve.jose, x: encoded(x), y: encoded(y), d: encoded(d) });
  d.fill(0);
  return takeIn(pool, { type: 'EC', curve: curve.name }, privateKey);
}

/**
 * Refuses `d` outside 1..order-1, and any point but d·G. So no point off the curve or of another one comes in, nor a
 * public key that signatures do not verify under. Node 24 does not look at it by itself.
 */
function assertPointOf(curve: Curve, key: { d: Buffer; x: Buffer; y: Buffer }): void {
  const ecdh = createECDH(curve.openssl);
  try {
    ecdh.setPrivateKey(key.d);
  } catch {
    throw invalidKey('d is not a private value of the curve');
  }
  const uncompressed = Buffer.concat([Buffer.of(4), key.x, key.y]);
  if (!ecdh.getPublicKey().equals(uncompressed)) throw invalidKey('x and y are not the public point of d');
}

async function importOctetJwk(_: PoolLanes, members: JwkMembers): Promise<NewKey> {
  const octets = parseOctets(members, 'k', longestOctets);
  try {
    return importOctets(octets);
  } finally {
    octets.fill(0);
  }
}

async function importAkp(pool: PoolLanes, members: JwkMembers): Promise<NewKey> {
  const set = findMlDsa(members.alg);
  if (set === undefined) throw invalidKey('alg is missing or not a parameter set that is supported');
  const pub = encoded(parseOctetsOf(members, 'pub', set.publicBytes));
  if (members.priv === undefined) throw invalidKey('it has no private part (priv)');
  const priv = encoded(parseOctetsOf(members, 'priv', mlDsaSeed));
  const privateKey = load({ kty: 'AKP', alg: set.name, pub, priv });
  // Node 24 makes the public key from the seed and does not look at `pub`.
  if (exportJwk(privateKey).pub !== pub) throw invalidKey('pub is not the public key of priv');
  return takeIn(pool, { type: 'AKP', parameterSet: set.name }, privateKey);
}

/** Takes in a copy of a symmetric key. */
export function importOctets(octets: Uint8Array): NewKey {
  if (!octetLengths.includes(octets.length)) throw invalidKey('k does not have 128, 192 or 256 bits');
  const material = new SecretBytes(new Uint8Array(octets));
  return { spec: { type: 'oct', bits: 8 * octets.length }, publicJwk: {}, material };
}

/** Checks the private key in a PKCS#8 and takes it in, written anew: nothing but the key itself is kept. */
export async function importPkcs8(pool: PoolLanes, pkcs8: Uint8Array): Promise<NewKey> {
  const { kty, ...rest } = exported(pkcs8);
  if (kty !== 'RSA' && kty !== 'EC' && kty !== 'AKP') throw invalidKey('keys of its type are not supported');
  const members = Object.entries(rest).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return importJwk(pool, { kty, members: Object.fromEntries(members) });
}

function exported(pkcs8: Uint8Array): { readonly kty?: string } {
  try {
    return exportJwk(parsePkcs8(pkcs8));
  } catch (cause) {
    throw invalidKey('it is not a PKCS#8 private key of a type and curve that is supported', cause);
  }
}

function load(jwk: Readonly<Record<string, string>>): KeyObject {
  try {
    return createPrivateKey({ key: jwk, format: 'jwk' });
  } catch (cause) {
    throw invalidKey('its members do not fit together', cause);
  }
}

async function takeIn(pool: PoolLanes, spec: KeySpec, privateKey: KeyObject): Promise<NewKey> {
  if (!(await pool.short(() => isPair(privateKey))))
    throw invalidKey('its private and public parts do not fit together');
  return newKeyOf(spec, privateKey);
}

function encoded(octets: Buffer): string {
  return octets.toString('base64url');
}
