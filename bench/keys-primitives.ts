/**
 * What an operation of a key is without a server: the call of `node:crypto` alone, in a loop. Run as a script with a
 * name and a number of seconds, it prints what it did, as `LoopResult`.
 */
import {
  constants,
  createCipheriv,
  createDecipheriv,
  generateKeyPairSync,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
  sign,
} from 'node:crypto';

/** JSON on standard output. Times are seconds; `cpu` is processor time. */
export interface LoopResult {
  readonly count: number;
  readonly elapsed: number;
  readonly cpu: number;
}

export type PrimitiveName = keyof typeof primitives;

/** RFC 3394 §2.2.3.1. */
const wrapIv = Buffer.from('a6a6a6a6a6a6a6a6', 'hex');

/** Each makes its key and answers the call. What Node.js has only with the hash is timed with it: 32 bytes take 0.5 µs. */
const primitives = {
  'RSA-2048 PKCS#1 sign': () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    return (value: Buffer) => sign('sha256', value, privateKey);
  },
  'RSA-2048 PSS sign': () => {
    const { privateKey: key } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const padding = constants.RSA_PKCS1_PSS_PADDING;
    return (value: Buffer) => sign('sha256', value, { key, padding, saltLength: 32 });
  },
  'P-256 sign': () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    return (value: Buffer) => sign('sha256', value, privateKey);
  },
  'ML-DSA-65 sign': () => {
    const { privateKey } = generateKeyPairSync('ml-dsa-65');
    return (value: Buffer) => sign(null, value, privateKey);
  },
  'RSA-2048 OAEP decrypt': () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const ciphertext = publicEncrypt({ key: publicKey, oaepHash: 'sha256' }, randomBytes(32));
    return () => privateDecrypt({ key: privateKey, oaepHash: 'sha256' }, ciphertext);
  },
  'AES-256 key unwrap': () => {
    const key = randomBytes(32);
    const wrapped = createCipheriv('id-aes256-wrap', key, wrapIv).update(randomBytes(32));
    return () => createDecipheriv('id-aes256-wrap', key, wrapIv).update(wrapped);
  },
  'AES-256-GCM encrypt': () => {
    const key = randomBytes(32);
    return (value: Buffer) => {
      const cipher = createCipheriv('aes-256-gcm', key, randomBytes(12));
      const ciphertext = cipher.update(value);
      cipher.final();
      return { ciphertext, tag: cipher.getAuthTag() };
    };
  },
  // What is in a certificate that signs itself: its key, its request's signature and its own.
  'P-256 key, two signatures': () => (value: Buffer) => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    return [sign('sha256', value, privateKey), sign('sha256', value, privateKey)];
  },
  'RSA-2048 key, two signatures': () => (value: Buffer) => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    return [sign('sha256', value, privateKey), sign('sha256', value, privateKey)];
  },
} as const satisfies Record<string, () => (value: Buffer) => unknown>;

/** Those that Node.js does off the event loop too. */
const inPool: Partial<Record<PrimitiveName, () => Called>> = {
  'RSA-2048 PKCS#1 sign': () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    return (value, done) => sign('sha256', value, privateKey, done);
  },
  'RSA-2048 PSS sign': () => {
    const { privateKey: key } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const padding = constants.RSA_PKCS1_PSS_PADDING;
    return (value, done) => sign('sha256', value, { key, padding, saltLength: 32 }, done);
  },
  'ML-DSA-65 sign': () => {
    const { privateKey } = generateKeyPairSync('ml-dsa-65');
    return (value, done) => sign(null, value, privateKey, done);
  },
};

type Called = (value: Buffer, done: (error: Error | null) => void) => void;

/** The call for a server, off the event loop if Node.js can; an error is not foreseen, and ends the process. */
export function primitiveOf(name: PrimitiveName): (value: Buffer, done: () => void) => void {
  const make = inPool[name];
  if (make !== undefined) {
    const call = make();
    return (value, done) =>
      call(value, (error) => {
        if (error !== null) throw error;
        done();
      });
  }
  const call = primitives[name]();
  return (value, done) => {
    call(value);
    done();
  };
}

const warmUpSeconds = 0.3;

function loop(call: (value: Buffer) => unknown, seconds: number): LoopResult {
  const value = randomBytes(32);
  const before = process.cpuUsage();
  const started = performance.now();
  const end = started + seconds * 1000;
  let count = 0;
  for (; performance.now() < end; count += 1) call(value);
  const elapsed = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(before);
  return { count, elapsed, cpu: (user + system) / 1e6 };
}

if (import.meta.main) {
  const [name = '', seconds = '1'] = process.argv.slice(2);
  const call = primitives[name as PrimitiveName]();
  loop(call, warmUpSeconds);
  console.log(JSON.stringify(loop(call, Number(seconds))));
}
