/** Proves whose address a request has, and that nobody but the named proxies has a say in it. */
import type { IncomingMessage } from 'node:http';
import { expect, test } from 'vitest';
import { type ClientAddressOf, createClientAddresses } from './client-address.ts';
import type { Connection } from './connection.ts';

function addressFrom(of: ClientAddressOf, peerAddress: string, forwarded?: string | string[]): string {
  const request = {
    socket: { remoteAddress: peerAddress, remotePort: 1234 },
    headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
  } as unknown as IncomingMessage;
  return of(request, { peerAddress } as Connection);
}

const behind = createClientAddresses(['10.0.0.0/8', '2001:db8::1']);

test.each<[peer: string, forwarded: string | string[] | undefined, client: string]>([
  // Nobody's word counts who is no proxy of ours.
  ['192.0.2.9', '198.51.100.1', '192.0.2.9'],
  ['192.0.2.9', '10.0.0.1', '192.0.2.9'],
  ['::1', '198.51.100.1', '::1'],
  // A proxy that says nothing speaks for itself.
  ['10.0.0.1', undefined, '10.0.0.1'],
  ['10.0.0.1', '198.51.100.1', '198.51.100.1'],
  ['2001:db8::1', '2001:db8::2', '2001:db8::2'],
  // What the client wrote itself stands further left.
  ['10.0.0.1', '203.0.113.5, 198.51.100.1', '198.51.100.1'],
  ['10.0.0.1', '10.0.0.7, 198.51.100.1', '198.51.100.1'],
  ['10.0.0.1', ['203.0.113.5', '198.51.100.1'], '198.51.100.1'],
  // Through several of ours.
  ['10.0.0.1', '203.0.113.5,198.51.100.1 , 10.0.0.3,10.0.0.2', '198.51.100.1'],
  ['10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
  // With ports, as some proxies write them, and as IPv4 in IPv6's form.
  ['10.0.0.1', '198.51.100.1:50000', '198.51.100.1'],
  ['10.0.0.1', '[2001:db8::5]:50000', '2001:db8::5'],
  ['10.0.0.1', '::ffff:198.51.100.1', '198.51.100.1'],
  ['10.0.0.1', '::ffff:c633:6401', '198.51.100.1'],
  ['10.0.0.1', '[0:0:0:0:0:ffff:c633:6401]:443', '198.51.100.1'],
  ['10.0.0.1', '198.51.100.1, ::ffff:a00:2', '198.51.100.1'],
  ['10.0.0.1', '2001:DB8:0:0:0:0:0:5', '2001:db8::5'],
])('from %s with %j: %s', (peer, forwarded, client) => {
  expect(addressFrom(behind, peer, forwarded)).toBe(client);
});

test.each([
  '',
  ',',
  'unknown',
  '_hidden',
  '198.51.100.1,',
  '198.51.100.1, unknown',
  '198.51.100.256',
  '198.51.100.1:',
  '198.51.100.1 203.0.113.5',
  '[::1',
  '::1]:80',
  'fe80::1%eth0',
  'localhost',
  '0x7f000001',
  '127.1',
  '198.51.100.1\u0000',
])('a proxy that says %j says no address, and no older word takes its place', (forwarded) => {
  expect(addressFrom(behind, '10.0.0.1', forwarded)).toBe('');
});

test('without proxies the connection alone counts', () => {
  expect(addressFrom(createClientAddresses([]), '10.0.0.1', '198.51.100.1')).toBe('10.0.0.1');
});

test('who a connection was said to be at its start counts as if it came from there', () => {
  const sources = new Map([['10.0.0.1|1234', '198.51.100.1']]);
  const sourceOf = (address: string, port: number) => sources.get(`${address}|${port}`);
  const of = createClientAddresses(['10.0.0.0/8'], { sourceOf });
  expect(addressFrom(of, '10.0.0.1', '203.0.113.5')).toBe('198.51.100.1');
  // From a proxy behind that proxy, whose header is read.
  sources.set('10.0.0.1|1234', '10.0.0.2');
  expect(addressFrom(of, '10.0.0.1', '203.0.113.5')).toBe('203.0.113.5');
  sources.set('10.0.0.1|1234', '');
  expect(addressFrom(of, '10.0.0.1', '203.0.113.5')).toBe('');
});
