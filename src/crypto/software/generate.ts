/** New keys: pairs by OpenSSL off the event loop, symmetric keys from the random generator. */
import { generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { Failure } from '../../core/errors.ts';
import type { Random } from '../../core/random.ts';
import type { KeySpec, NewKey } from '../provider.ts';
import { importOctets, octetLengths } from './jwk-import.ts';
import { newKeyOf } from './key-pair.ts';
import { curves, mlDsaSets } from './parameters.ts';
import type { PoolLanes } from './pool.ts';
import { largestExponent, rsaSizes, smallestExponent } from './rsa-modulus.ts';

interface KeyPair {
  readonly privateKey: KeyObject;
}

const makePair = promisify(generateKeyPair);

/** Makes a key; throws `Failure('badParameter')` for a size or exponent that is not served. */
export async function generateKey(
  deps: { readonly random: Random; readonly pool: PoolLanes },
  spec: KeySpec,
): Promise<NewKey> {
  if (spec.type === 'oct') return generateOctets(deps.random, spec.bits);
  const { privateKey } = await generatePair(deps.pool, spec);
  return newKeyOf(spec, privateKey);
}

async function generatePair(pool: PoolLanes, spec: Exclude<KeySpec, { type: 'oct' }>): Promise<KeyPair> {
  switch (spec.type) {
    case 'RSA': {
      assertRsa(spec);
      const options = { modulusLength: spec.bits, publicExponent: spec.exponent };
      return pool.long(() => makePair('rsa', options));
    }
    case 'EC':
      return pool.short(() => makePair('ec', { namedCurve: curves[spec.curve].openssl }));
    case 'AKP':
      return pool.short(() => makePair(mlDsaSets[spec.parameterSet].type));
  }
}

function generateOctets(random: Random, bits: number): NewKey {
  if (!octetLengths.includes(bits / 8)) throw unsupported('key size');
  const octets = random.bytes(bits / 8);
  try {
    return importOctets(octets);
  } finally {
    octets.fill(0);
  }
}

function assertRsa({ bits, exponent }: { readonly bits: number; readonly exponent: number }): void {
  if (!rsaSizes.includes(bits)) throw unsupported('key size');
  const isServed = Number.isInteger(exponent) && exponent >= smallestExponent && exponent <= largestExponent;
  if (!isServed || exponent % 2 === 0) throw unsupported('public exponent');
}

function unsupported(what: string): Failure {
  return new Failure('badParameter', `Unsupported ${what}.`);
}
