/**
 * A DNS server on the loopback, over UDP and TCP: every name has this machine's address, and TXT records come and go by
 * dynamic updates, whose signatures it verifies by its own reading of RFC 2136 and RFC 8945.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { createServer, type Socket } from 'node:net';
import { type Answer, decode, encode, type Packet, type Question, type RecordType } from 'dns-packet';

export interface TestKey {
  readonly name: string;
  readonly digest: 'sha256' | 'sha512';
  readonly secret: Buffer;
}

/** What a test has it do wrong. */
export interface DnsFaults {
  /** Instead of carrying out an update. */
  rcode?: number;
  /** Changes every answer after it was signed. */
  spoil?: (answer: Buffer) => Buffer;
  /** Answers without signing. */
  unsigned?: boolean;
  /** Takes requests and never answers. */
  silent?: boolean;
  /** Seconds that its clock is ahead. */
  ahead?: number;
}

export interface DnsServer {
  readonly port: number;
  /** Values by lower-case name. */
  readonly records: Map<string, Set<string>>;
  /** `add NAME VALUE` and `remove NAME VALUE`, in order. */
  readonly updates: string[];
  readonly faults: DnsFaults;
  /** Resolves with the next request. */
  nextRequest(): Promise<void>;
  close(): Promise<void>;
}

export interface DnsServerOptions {
  readonly zone: string;
  readonly key: TestKey;
  /** Seconds since 1970. */
  readonly now?: () => number;
}

export async function startDnsServer(options: DnsServerOptions): Promise<DnsServer> {
  const records = new Map<string, Set<string>>();
  const updates: string[] = [];
  const faults: DnsFaults = {};
  const waiting: (() => void)[] = [];
  const state = { ...options, records, updates, faults };
  const answer = (message: Buffer): Buffer | undefined => {
    for (const heard of waiting.splice(0)) heard();
    return faults.silent === true ? undefined : answerTo(state, message);
  };
  const sockets = new Set<Socket>();
  const tcp = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
    serveStream(socket, answer);
  });
  const port = await new Promise<number>((resolve) => {
    tcp.listen(0, '127.0.0.1', () => resolve((tcp.address() as { port: number }).port));
  });
  const udp = createSocket('udp4', (message, from) => {
    const reply = answer(message);
    if (reply !== undefined) udp.send(reply, from.port, from.address);
  });
  await new Promise<void>((resolve) => udp.bind(port, '127.0.0.1', resolve));
  return {
    port,
    records,
    updates,
    faults,
    nextRequest: () => new Promise((resolve) => waiting.push(resolve)),
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => tcp.close(resolve));
      await new Promise<void>((resolve) => udp.close(resolve));
    },
  };
}

function serveStream(socket: Socket, answer: (message: Buffer) => Buffer | undefined): void {
  let received = Buffer.alloc(0);
  socket.on('data', (part: Buffer) => {
    received = Buffer.concat([received, part]);
    while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
      const end = 2 + received.readUInt16BE(0);
      const reply = answer(received.subarray(2, end));
      received = received.subarray(end);
      if (reply === undefined) continue;
      const length = Buffer.alloc(2);
      length.writeUInt16BE(reply.length);
      socket.write(Buffer.concat([length, reply]));
    }
  });
}

type State = DnsServerOptions & Pick<DnsServer, 'records' | 'updates' | 'faults'>;

function answerTo(state: State, message: Buffer): Buffer {
  const request = decode(message);
  const opcode = (message.readUInt16BE(2) >> 11) & 15;
  const tsig = request.additionals?.at(-1);
  if (tsig?.type !== 'TSIG') {
    if (opcode === 5) return encode(reply(request, { rcode: 5 }));
    return encode(reply(request, { answers: lookUp(state, request.questions ?? []) }));
  }
  const mac = verified(state, message, tsig);
  const { faults } = state;
  // NOTAUTH, unsigned, with BADSIG in the record (RFC 8945 §5.2).
  if (mac === undefined)
    return encode({ ...reply(request, { rcode: 9 }), additionals: [errorRecord(tsig, 16)] });
  const done =
    opcode === 5
      ? reply(request, { rcode: faults.rcode ?? update(state, message, request) })
      : reply(request, { answers: lookUp(state, request.questions ?? []) });
  const unsigned = encode(done);
  const signed = faults.unsigned === true ? unsigned : sign(state, unsigned, mac);
  return faults.spoil?.(signed) ?? signed;
}

function reply(
  { id, questions }: Packet,
  { rcode = 0, answers = [] }: { rcode?: number; answers?: Answer[] },
): Packet {
  return { type: 'response', id: id ?? 0, flags: (1 << 10) | rcode, questions: questions ?? [], answers };
}

function lookUp({ records, zone }: State, questions: readonly Question[]): Answer[] {
  return questions.flatMap(({ name, type }): Answer[] => {
    if (type === 'A') return [{ name, type, ttl: 1, data: '127.0.0.1' }];
    if (type === 'TXT') {
      return [...(records.get(name.toLowerCase()) ?? [])].map((data) => ({ name, type, ttl: 1, data }));
    }
    const isIn = name.toLowerCase() === zone || name.toLowerCase().endsWith(`.${zone}`);
    return type === 'SOA' && isIn ? [{ name: zone, type, ttl: 1, data: soaOf(zone) }] : [];
  });
}

function soaOf(zone: string) {
  const timers = { serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 1 };
  return { mname: `ns.${zone}`, rname: `admin.${zone}`, ...timers };
}

/** The class tells adding from removing; the library does not say class NONE, so that it is read from the bytes. */
function update(state: State, message: Buffer, request: Packet): number {
  const { zone, records, updates } = state;
  if (request.questions?.length !== 1 || request.questions[0]?.name.toLowerCase() !== zone) return 9;
  if ((request.questions[0]?.type as RecordType) !== 'SOA' || request.answers?.length !== 0) return 1;
  const [record] = request.authorities ?? [];
  if (request.authorities?.length !== 1 || record?.type !== 'TXT') return 1;
  const name = record.name.toLowerCase();
  if (!name.endsWith(`.${zone}`)) return 10;
  const at = 12 + zone.length + 2 + 4 + name.length + 2 + 2;
  const [klass, ttl] = [message.readUInt16BE(at), message.readUInt32BE(at + 2)];
  const value = Buffer.concat(record.data as Buffer[]).toString();
  const values = records.get(name) ?? new Set();
  if (klass === 1 && ttl > 0) values.add(value);
  else if (klass === 254 && ttl === 0) values.delete(value);
  else return 1;
  records.set(name, values);
  updates.push(`${klass === 1 ? 'add' : 'remove'} ${name} ${value}`);
  return 0;
}

/** The MAC of the request; undefined if it is not what the key makes of it. */
function verified(state: State, message: Buffer, tsig: Answer): Buffer | undefined {
  const { key, faults, now = () => Date.now() / 1000 } = state;
  const data = dataOf(tsig);
  const algorithm = names(`hmac-${key.digest}`);
  if (tsig.name !== key.name || !data.subarray(0, algorithm.length).equals(algorithm)) return undefined;
  const times = data.subarray(algorithm.length, algorithm.length + 8);
  const size = data.readUInt16BE(algorithm.length + 8);
  const mac = data.subarray(algorithm.length + 10, algorithm.length + 10 + size);
  const unsigned = Buffer.from(
    message.subarray(0, message.length - names(key.name).length - 10 - data.length),
  );
  unsigned.writeUInt16BE(unsigned.readUInt16BE(10) - 1, 10);
  const skew = Math.abs(now() + (faults.ahead ?? 0) - times.readUIntBE(0, 6));
  const expected = macOf(key, [unsigned], times);
  return skew <= 300 && mac.length === expected.length && timingSafeEqual(mac, expected) ? mac : undefined;
}

function macOf({ digest, secret, name }: TestKey, message: readonly Buffer[], times: Buffer): Buffer {
  const mac = createHmac(digest, secret);
  for (const part of message) mac.update(part);
  // Class ANY, TTL 0; no error and no other data.
  mac
    .update(names(name))
    .update(Buffer.from('00ff00000000', 'hex'))
    .update(names(`hmac-${digest}`));
  return mac.update(times).update(Buffer.alloc(4)).digest();
}

function sign(
  { key, faults, now = () => Date.now() / 1000 }: State,
  message: Buffer,
  requestMac: Buffer,
): Buffer {
  const times = Buffer.alloc(8);
  times.writeUIntBE(Math.floor(now() + (faults.ahead ?? 0)), 0, 6);
  times.writeUInt16BE(300, 6);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(requestMac.length);
  const mac = macOf(key, [length, requestMac, message], times);
  length.writeUInt16BE(mac.length);
  const data = Buffer.concat([
    ...[names(`hmac-${key.digest}`), times, length, mac],
    ...[message.subarray(0, 2), Buffer.alloc(4)],
  ]);
  const decoded = decode(message);
  const record: Answer = { name: key.name, type: 'TSIG', class: 'ANY', ttl: 0, data };
  return encode({ ...decoded, additionals: [record] });
}

/** The request's own record, with the error and without a MAC. */
function errorRecord(tsig: Answer, error: number): Answer {
  const data = dataOf(tsig);
  const at = data.indexOf(0) + 9;
  const rest = Buffer.from([0, 0, 0, 0, 0, error, 0, 0]);
  return {
    name: tsig.name,
    type: 'TSIG',
    class: 'ANY',
    ttl: 0,
    data: Buffer.concat([data.subarray(0, at), rest]),
  };
}

function dataOf(record: Answer): Buffer {
  return 'data' in record ? (record.data as Buffer) : Buffer.alloc(0);
}

function names(name: string): Buffer {
  const labels = name
    .split('.')
    .map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`, 'latin1'));
  return Buffer.concat([...labels, Buffer.of(0)]);
}
