/** Proves where a guarded fetch connects to and where not, and that it keeps to the limits of who uses it. */
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { manualClock } from '../../test/support/identity.ts';
import { fetchObject } from '../identity/remote-keys.ts';
import { createGuardedFetch, isPublicAddress } from './guarded-fetch.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function serve(listener: RequestListener) {
  const connections: string[] = [];
  const server = createServer(listener);
  server.on('connection', (socket) => connections.push(socket.localAddress ?? ''));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  return { port, connections };
}

const ask = (url: string, networks: readonly string[], clock = manualClock()) =>
  fetchObject({ fetch: createGuardedFetch(networks), clock }, url);

describe('public addresses', () => {
  it.each(['1.1.1.1', '8.8.8.8', '100.63.255.255', '172.32.0.1', '2606:4700::1111', '2a00::1'])(
    'are %s and the like',
    (address) => expect(isPublicAddress(address)).toBe(true),
  );

  it.each([
    ...['0.0.0.0', '10.1.2.3', '100.64.0.1', '127.0.0.1', '127.255.255.254', '169.254.169.254'],
    ...['168.63.129.16', '172.16.0.1', '172.31.255.255', '192.168.1.1', '198.18.0.1', '224.0.0.1'],
    ...['240.0.0.1', '255.255.255.255', '::', '::1', '::ffff:127.0.0.1', '::ffff:7f00:1', 'fe80::1'],
    ...['fe80::1%eth0', 'fc00::1', 'fd12:3456::1', 'ff02::1', '64:ff9b::7f00:1', '2002:7f00:1::'],
    ...['2001::1', '2001:db8::1', '', 'localhost', '127.1', '2130706433', '0x7f.0.0.1'],
  ])('are not %j', (address) => expect(isPublicAddress(address)).toBe(false));
});

describe('a guarded fetch', () => {
  it('makes no connection to this machine, however it is named', async () => {
    const { port, connections } = await serve((_request, response) => response.end('{}'));
    for (const host of ['127.0.0.1', 'localhost', '127.1', '2130706433', '[::ffff:127.0.0.1]', '0.0.0.0'])
      for (const scheme of ['http', 'https'])
        await expect(ask(`${scheme}://${host}:${port}/`, []), host).rejects.toThrow();
    expect(connections).toEqual([]);
  });

  it('connects to what it is told to let in, by address and by name, and to nothing beside it', async () => {
    const { port, connections } = await serve((_request, response) => response.end('{"a":1}'));
    for (const host of ['127.0.0.1', 'localhost'])
      expect(await ask(`http://${host}:${port}/`, ['127.0.0.1']), host).toEqual({ a: 1 });
    expect(connections).toEqual(['127.0.0.1', '127.0.0.1']);
    await expect(ask(`http://127.0.0.1:${port}/`, ['127.0.0.2/32', '10.0.0.0/8'])).rejects.toThrow(
      /issuerNetworks/,
    );
    expect(connections).toHaveLength(2);
  });

  it('follows no redirect', async () => {
    const asked: (string | undefined)[] = [];
    const { port } = await serve((request, response) => {
      asked.push(request.url);
      response.writeHead(302, { Location: '/elsewhere' }).end('{}');
    });
    await expect(ask(`http://127.0.0.1:${port}/here`, ['127.0.0.1'])).rejects.toThrow(/status 302/);
    expect(asked).toEqual(['/here']);
  });

  it.each([204, 205, 304])('takes an answer without a body (%i) for none', async (status) => {
    const { port } = await serve((_request, response) => response.writeHead(status).end());
    await expect(ask(`http://127.0.0.1:${port}/`, ['127.0.0.1'])).rejects.toThrow(`status ${status}`);
  });

  it('ends a reply that does not end, and one that does not come', async () => {
    const ended = Promise.withResolvers<void>();
    const { port } = await serve((_request, response) => {
      response.on('close', () => ended.resolve());
      const more = () => response.write('x'.repeat(64 * 1024), (error) => error ?? more());
      more();
    });
    await expect(ask(`http://127.0.0.1:${port}/`, ['127.0.0.1'])).rejects.toThrow(/longer than/);
    await ended.promise;
    const clock = manualClock();
    const silent = await serve(() => clock.advance(5_000));
    await expect(ask(`http://127.0.0.1:${silent.port}/`, ['127.0.0.1'], clock)).rejects.toThrow();
  });
});
