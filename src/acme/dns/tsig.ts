/** Signs DNS messages with a shared key, and checks those that answer them (TSIG, RFC 8945). */
import { decode } from 'dns-packet';
import type { SecretBytes } from '../../core/secret-bytes.ts';
import { areSameMacs, type HmacDigest, hmac } from '../../crypto/hmac.ts';

export interface TsigKey {
  /** A domain name, without the dot at the end. */
  readonly name: string;
  readonly algorithm: 'hmac-sha256' | 'hmac-sha512';
  readonly secret: SecretBytes;
}

/** The answer is not signed as it must be; the message says how it is wrong. */
export class TsigRefused extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'TsigRefused';
  }
}

const digests: Readonly<Record<TsigKey['algorithm'], HmacDigest>> = {
  'hmac-sha256': 'sha256',
  'hmac-sha512': 'sha512',
};
const typeTsig = 250;
const classAny = 255;
/** Seconds that clocks may differ (RFC 8945 §10). */
const fudge = 300;
/** RFC 8945 §3. */
const errorNames: Readonly<Record<number, string>> = {
  16: 'the MAC is wrong (BADSIG)',
  17: 'the server does not know the key (BADKEY)',
  18: "the server's clock is another (BADTIME)",
  22: 'the MAC is too short (BADTRUNC)',
};

/** A domain name of ASCII labels in wire form, in lower case as MACs have it (RFC 8945 §4.3.3). */
export function wireName(name: string): Buffer {
  const parts = name.split('.').map((text) => {
    const label = Buffer.from(text.toLowerCase(), 'ascii');
    if (label.length === 0 || label.length > 63) throw new RangeError('not a domain name');
    return Buffer.concat([Buffer.of(label.length), label]);
  });
  return Buffer.concat([...parts, Buffer.of(0)]);
}

/** The message with its signature, and the MAC that the answer's one is made over. `now` is Unix seconds. */
export function signMessage(
  message: Buffer,
  key: TsigKey,
  now: number,
): { readonly signed: Buffer; readonly mac: Uint8Array } {
  const times = timesOf(now);
  const mac = macOf(key, { message, times, tail: Buffer.alloc(4) });
  const algorithm = wireName(key.algorithm);
  const data = Buffer.concat([
    algorithm,
    times,
    uint16(mac.length),
    mac,
    message.subarray(0, 2),
    Buffer.alloc(4),
  ]);
  const record = Buffer.concat([
    wireName(key.name),
    uint16(typeTsig),
    uint16(classAny),
    Buffer.alloc(4),
    uint16(data.length),
    data,
  ]);
  const signed = Buffer.concat([message, record]);
  signed.writeUInt16BE(message.readUInt16BE(10) + 1, 10);
  return { signed, mac };
}

/**
 * Makes sure that the answer to a message signed with `mac` comes from who has the key, and now (RFC 8945 §5.3). Throws
 * `TsigRefused`, and other errors for what is no DNS message.
 */
export function assertSigned(
  answer: Buffer,
  key: TsigKey,
  { mac: requestMac, now }: { mac: Uint8Array; now: number },
): void {
  const last = decode(answer).additionals?.at(-1);
  // The library does not mind a record that ends behind the message, or bytes behind the last record.
  if (decode.bytes !== answer.length) throw new TsigRefused('the answer is cut short');
  if (last?.type !== 'TSIG') throw new TsigRefused('the answer is not signed');
  // RFC 8945 §4.2; the MAC is over these values, whatever the record says.
  if (last.class !== 'ANY' || last.flush || last.ttl !== 0)
    throw new TsigRefused('the signature is malformed');
  const { times, time, mac, originalId, error, other, algorithm } = readData(last.data);
  if (error !== 0) throw new TsigRefused(errorNames[error] ?? `TSIG error ${error}`);
  if (last.name.toLowerCase() !== key.name.toLowerCase() || !algorithm.equals(wireName(key.algorithm))) {
    throw new TsigRefused('the answer is signed with another key');
  }
  // The MAC is over the message as it was before it was signed. What the reading of all records but the last one
  // consumed is that, so that nothing else here has to know how names are compressed.
  const message = Buffer.from(answer);
  message.writeUInt16BE(answer.readUInt16BE(10) - 1, 10);
  decode(message);
  const unsigned = message.subarray(0, decode.bytes);
  originalId.copy(unsigned);
  const tail = Buffer.concat([uint16(error), uint16(other.length), other]);
  const prefix = Buffer.concat([uint16(requestMac.length), requestMac]);
  if (!areSameMacs(mac, macOf(key, { prefix, message: unsigned, times, tail }))) {
    throw new TsigRefused('the MAC of the answer is wrong');
  }
  if (Math.abs(now - time) > fudge)
    throw new TsigRefused("the server's clock differs by more than 5 minutes");
}

/** RFC 8945 §4.3: the MAC of the request, the message, and the variables of the record. */
function macOf(
  key: TsigKey,
  { prefix, message, times, tail }: { prefix?: Buffer; message: Buffer; times: Buffer; tail: Buffer },
): Uint8Array {
  return hmac(digests[key.algorithm], key.secret, [
    ...(prefix === undefined ? [] : [prefix]),
    message,
    wireName(key.name),
    uint16(classAny),
    Buffer.alloc(4),
    wireName(key.algorithm),
    times,
    tail,
  ]);
}

/** The time signed, 48 bits, and the fudge. */
function timesOf(now: number): Buffer {
  const times = Buffer.alloc(8);
  times.writeUIntBE(now, 0, 6);
  times.writeUInt16BE(fudge, 6);
  return times;
}

/** RFC 8945 §4.2. */
function readData(data: Buffer) {
  const end = data.indexOf(0) + 1;
  const at = end + 8;
  if (end === 0 || data.length < at + 2) throw new TsigRefused('the signature record is cut short');
  const macEnd = at + 2 + data.readUInt16BE(at);
  if (data.length < macEnd + 6 || data.length !== macEnd + 6 + data.readUInt16BE(macEnd + 4)) {
    throw new TsigRefused('the signature record is cut short');
  }
  return {
    algorithm: Buffer.from(data.toString('latin1', 0, end).toLowerCase(), 'latin1'),
    times: data.subarray(end, at),
    time: data.readUIntBE(end, 6),
    mac: data.subarray(at + 2, macEnd),
    originalId: data.subarray(macEnd, macEnd + 2),
    error: data.readUInt16BE(macEnd + 2),
    other: data.subarray(macEnd + 6),
  };
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}
