/** Proves that PROXY headers say what HAProxy's specification lets them say, and that nothing else passes for one. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { manualClock } from '../../test/support/identity.ts';
import { createProxiedConnections, parseProxyHeader } from './proxy-protocol.ts';

const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

/** Whatever error there is before it. */
function closeOf(socket: Socket): Promise<unknown> {
  return new Promise((resolve) => socket.once('close', resolve));
}

/** A header of version 2. */
function binary(command: number, family: number, rest: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(rest.length);
  return Buffer.concat([signature, Buffer.from([command, family]), length, rest]);
}
const ipv4 = Buffer.from([192, 0, 2, 1, 192, 0, 2, 2, 0x04, 0xd2, 0x01, 0xbb]);
const ipv6 = Buffer.concat([
  Buffer.from('20010db8000000000000000000000001', 'hex'),
  Buffer.from('20010db8000000000000000000000002', 'hex'),
  Buffer.from([0x04, 0xd2, 0x01, 0xbb]),
]);
const mapped = Buffer.concat([Buffer.from('00000000000000000000ffffc0000209', 'hex'), ipv6.subarray(16)]);

describe('a header', () => {
  test.each<[string, Buffer, string | undefined]>([
    ['IPv4', Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 1234 443\r\n'), '192.0.2.1'],
    ['IPv6', Buffer.from('PROXY TCP6 2001:db8::1 2001:db8::2 1234 443\r\n'), '2001:db8::1'],
    ['mapped', Buffer.from('PROXY TCP6 ::ffff:192.0.2.9 ::1 1234 443\r\n'), '192.0.2.9'],
    ['unknown', Buffer.from('PROXY UNKNOWN\r\n'), undefined],
    ['unknown with more', Buffer.from('PROXY UNKNOWN ffff::1 x 1 2\r\n'), undefined],
    ['binary IPv4', binary(0x21, 0x11, ipv4), '192.0.2.1'],
    ['binary IPv6', binary(0x21, 0x21, ipv6), '2001:db8::1'],
    ['binary, mapped', binary(0x21, 0x21, mapped), '192.0.2.9'],
    ['binary with extensions', binary(0x21, 0x11, Buffer.concat([ipv4, Buffer.alloc(50)])), '192.0.2.1'],
    ['local', binary(0x20, 0x00, Buffer.alloc(0)), undefined],
    ['local with an address', binary(0x20, 0x11, ipv4), undefined],
  ])('%s is read, however it arrives, and what follows is left', (_, header, source) => {
    const whole = Buffer.concat([header, Buffer.from([0x16, 0x03, 0x01])]);
    expect(parseProxyHeader(whole)).toEqual({ source, length: header.length });
    for (let length = 1; length < header.length; length += 1)
      expect([length, parseProxyHeader(header.subarray(0, length))]).toEqual([length, 'more']);
  });

  test.each<[string, Buffer]>([
    ['TLS', Buffer.from('160301020001', 'hex')],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n')],
    ['another case', Buffer.from('proxy TCP4 192.0.2.1 192.0.2.2 1234 443\r\n')],
    ['no address', Buffer.from('PROXY TCP4 localhost 192.0.2.2 1234 443\r\n')],
    ['another family', Buffer.from('PROXY TCP4 2001:db8::1 2001:db8::2 1234 443\r\n')],
    ['IPv4 as IPv6', Buffer.from('PROXY TCP6 192.0.2.1 192.0.2.2 1234 443\r\n')],
    ['no target', Buffer.from('PROXY TCP4 192.0.2.1 1234 443\r\n')],
    ['two spaces', Buffer.from('PROXY TCP4  192.0.2.1 192.0.2.2 1234 443\r\n')],
    ['a port too large', Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 65536 443\r\n')],
    ['a zone', Buffer.from('PROXY TCP6 fe80::1%eth0 ::1 1234 443\r\n')],
    ['a line too long', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(200)}\r\n`)],
    ['a line without end', Buffer.from(`PROXY TCP4 ${'1'.repeat(200)}`)],
    ['version 1 in binary', binary(0x11, 0x11, ipv4)],
    ['another command', binary(0x22, 0x11, ipv4)],
    ['datagrams', binary(0x21, 0x12, ipv4)],
    ['a path', binary(0x21, 0x31, Buffer.alloc(216))],
    ['addresses cut short', binary(0x21, 0x11, ipv4.subarray(0, 8))],
    ['IPv6 cut short', binary(0x21, 0x21, ipv4)],
    ['far too much', binary(0x21, 0x11, Buffer.alloc(2000))],
  ])('%s is none', (_, bytes) => {
    expect(parseProxyHeader(bytes)).toBeUndefined();
  });
});

describe('connections', () => {
  const closers: (() => void)[] = [];
  afterEach(() => {
    for (const closer of closers.splice(0)) closer();
  });

  /** A server behind a proxy at the given address; `accepted` are what it handed on. */
  async function listening(trusted: readonly string[]) {
    const clock = manualClock();
    const proxied = createProxiedConnections(clock, trusted);
    const accepted: Socket[] = [];
    const came = Promise.withResolvers<Socket>();
    const server: Server = createServer((socket) => {
      socket.on('error', () => undefined);
      proxied.accept(socket, (handed) => {
        accepted.push(handed);
        came.resolve(handed);
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    closers.push(() => server.close());
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const client = connect(port, '127.0.0.1');
    client.on('error', () => undefined);
    closers.push(() => client.destroy());
    await once(client, 'connect');
    const source = () => proxied.sourceOf('127.0.0.1', client.localPort ?? 0);
    return { clock, proxied, accepted, came: came.promise, client, source };
  }

  test('are handed on with what follows the header, and known by whose they are until they end', async () => {
    const { client, came, source, proxied } = await listening(['127.0.0.1']);
    expect(source()).toBe('');
    client.write('PROXY TCP4 192.0.2.1 192.0.2.2');
    client.write(' 1234 443\r\nhello');
    const socket = await came;
    const [data] = await once(socket, 'data');
    expect(String(data)).toBe('hello');
    expect(source()).toBe('192.0.2.1');
    expect(proxied.sourceOf('192.0.2.77', client.localPort ?? 0)).toBeUndefined();
    const closed = closeOf(socket);
    client.resetAndDestroy();
    await closed;
    // What a request of a connection that has ended came from is nobody's word any more.
    expect(source()).toBe('');
  });

  test("of a proxy's own are the proxy's", async () => {
    const { client, came, source } = await listening(['127.0.0.0/8']);
    client.write('PROXY UNKNOWN\r\n');
    await came;
    expect(source()).toBe('127.0.0.1');
  });

  test.each(['GET / HTTP/1.1\r\n\r\n', 'PROXY TCP4 a b c d\r\n', '\r\n\r\nGET'])(
    'end that come from a proxy and begin with %j',
    async (text) => {
      const { client, accepted } = await listening(['127.0.0.1']);
      const closed = closeOf(client);
      client.write(text);
      await closed;
      expect(accepted).toEqual([]);
    },
  );

  test('end when the header does not come in time', async () => {
    const { client, accepted, clock } = await listening(['127.0.0.1']);
    const closed = closeOf(client);
    client.write('PROXY TCP4 ');
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(5_000);
    await closed;
    expect(accepted).toEqual([]);
  });

  test('from elsewhere are handed on as they are: a header of theirs is data', async () => {
    const { client, came, source } = await listening(['192.0.2.0/24']);
    client.write('PROXY TCP4 192.0.2.1 192.0.2.2 1234 443\r\n');
    const [data] = await once(await came, 'data');
    expect(String(data)).toMatch(/^PROXY TCP4/);
    expect(source()).toBeUndefined();
  });
});
